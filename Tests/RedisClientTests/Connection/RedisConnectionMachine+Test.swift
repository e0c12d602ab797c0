import NIOCore
import TestSupport
import Testing

@testable import RedisClient

extension RedisConfiguration {
    /// A connection whose handshake is one PING, with timeouts of two seconds.
    static var test: RedisConfiguration {
        var configuration = RedisConfiguration(.unix(path: "/here"))
        configuration.clientName = nil
        configuration.commandTimeout = .seconds(2)
        configuration.connectTimeout = .seconds(1)
        return configuration
    }
}

extension NIODeadline {
    static func at(_ seconds: Int64) -> NIODeadline { .uptimeNanoseconds(0) + .seconds(seconds) }
}

extension RedisRequest {
    /// - Parameter seconds: The time by which the command's reply must have arrived.
    static func named(_ name: String, until seconds: Int64 = 2) -> RedisRequest {
        RedisRequest(command: RedisCommand(name), deadline: .at(seconds), completion: { _ in }, waiter: nil)
    }
}

extension RedisError {
    static let gone = RedisError(.connectionLost, "gone", mayHaveBeenApplied: true)
}

extension Result<RedisReply, RedisError> {
    static var ok: Self { reply("+OK") }

    /// - Parameter resp: The reply on the wire, with spaces for line ends.
    static func reply(_ resp: String) -> Self {
        guard let reply = try? RedisReply(resp: resp) else { return .failure(.gone) }
        return reply.errorMessage.map { .failure(RedisError(reply: $0)) } ?? .success(reply)
    }
}

extension RedisConnectionMachine {
    static func ready(_ configuration: RedisConfiguration = .test) throws -> RedisConnectionMachine {
        var machine = RedisConnectionMachine(configuration: configuration)
        _ = machine.start()
        try machine.becomeReady()
        return machine
    }

    /// Opens the socket, and replies to the handshake.
    mutating func becomeReady() throws {
        for _ in try beginHandshake() { _ = received(.ok, now: .at(0)) }
        try #require(isReady)
    }

    /// Opens the socket.
    ///
    /// - Returns: The names of the handshake's commands.
    mutating func beginHandshake(_ roleCheck: RoleCheck = .none, now: NIODeadline = .at(0)) throws -> [String] {
        let commands = opened(roleCheck, now: now)
        return try #require(commands).map(\.name)
    }

    mutating func lose() throws -> Loss {
        let loss = lost(.gone)
        return try #require(loss)
    }

    /// Admits and writes commands.
    mutating func write(_ requests: RedisRequest...) throws {
        let admission = admit(requests)
        try #require(admission.isWrite)
        for request in requests { written(request) }
    }

    /// Passes a reply to the machine.
    ///
    /// - Returns: The name of the command that it completes.
    mutating func completed(_ result: Result<RedisReply, RedisError> = .ok, now: NIODeadline = .at(0)) -> String? {
        guard case .complete(let request, _) = received(result, now: now) else { return nil }
        return request.command.name
    }
}

extension RedisConnectionMachine.Admission {
    var isWrite: Bool { if case .write = self { true } else { false } }
    var isWait: Bool { if case .wait = self { true } else { false } }
    var failure: RedisError? { if case .fail(let error) = self { error } else { nil } }
}

extension RedisConnectionMachine.Loss {
    var sentNames: [String] { sent.map(\.command.name) }
    var unsentNames: [String] { unsent.map(\.command.name) }
}
