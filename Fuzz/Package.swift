// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that a build of the server does not build the fuzzers. They import the
// libraries with `@testable`, so run.sh builds everything with `-enable-testing`.
let package = Package(
    name: "fuzz",
    dependencies: [
        .package(name: "agent-runtime", path: ".."),
        // Exact, since the inside of this one is seen, too: what it does with an answer is half of
        // what is tried.
        .package(url: "https://github.com/swift-server/async-http-client", exact: "1.37.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        .executableTarget(
            name: "fuzz",
            dependencies: [
                .product(name: "AgentService", package: "agent-runtime"),
                .product(name: "LanguageModels", package: "agent-runtime"),
                .product(name: "RedisClient", package: "agent-runtime"),
                .product(name: "SessionStore", package: "agent-runtime"),
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOEmbedded", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)]
        )
    ]
)
