// swift-tools-version: 6.2
import PackageDescription

// A package of its own, so that a build of the server does not build the benchmarks.
let package = Package(
    name: "benchmarks",
    dependencies: [
        .package(name: "agent-runtime", path: ".."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
    ],
    targets: [
        .systemLibrary(name: "CEpoll"),
        .executableTarget(
            name: "bench",
            dependencies: [
                "CEpoll",
                .product(name: "RedisClient", package: "agent-runtime"),
                .product(name: "SessionStore", package: "agent-runtime"),
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ],
            swiftSettings: [.swiftLanguageMode(.v6)]
        ),
    ]
)
