import Foundation
public import LocalDeployment

/// The path of `valkey-server`, if the environment names one. `make test` installs it and sets the
/// variable.
public enum Valkey {
    public static let variable = "AGENT_RUNTIME_TEST_VALKEY"
    public static let program: String? = ProcessInfo.processInfo.environment[variable].flatMap { $0.isEmpty ? nil : $0 }

    public static var isThere: Bool { program != nil }
    /// The message that explains why a suite is skipped.
    public static let hint = "\(variable) names no valkey-server: `make test` puts one under .build/valkey"

    public static func single() async throws -> RedisServer { try await RedisServer.start(program: found) }
    public static func cluster() async throws -> RedisCluster { try await RedisCluster.start(program: found) }

    private static var found: String {
        get throws {
            guard let program else { throw NeverHappened(description: "\(variable) is not set") }
            return program
        }
    }
}
