import NIOCore
import TestSupport
import Testing

@testable import RedisClient

@Suite("The connection's state machine: commands, handshake, timeouts")
struct RedisConnectionMachineCommandTests {
    // MARK: Replies

    @Test("Replies complete commands in the order in which they were written")
    func repliesComeInOrder() throws {
        var machine = try RedisConnectionMachine.ready()
        try machine.write(.named("A"), .named("B"), .named("C"))
        #expect(machine.completed() == "A")
        guard case .complete(let request, .failure(let error)) = machine.received(.reply("-ERR"), now: .at(0)) else {
            Issue.record("not completed")
            return
        }
        #expect(request.command.name == "B" && error.code == .reply("ERR"))
        #expect(machine.completed() == "C" && machine.inFlight.isEmpty)
    }

    @Test("A reply to no command ends the connection")
    func aReplyToNoCommandEndsTheConnection() throws {
        var machine = try RedisConnectionMachine.ready()
        guard case .lose(let loss?) = machine.received(.ok, now: .at(0)) else { Issue.record("not lost"); return }
        #expect(loss.error.code == .protocolViolation && loss.reconnect == .now)
    }

    @Test("A loss fails the commands in flight, and commands that wait in vain")
    func aLossFailsCommands() throws {
        var machine = try RedisConnectionMachine.ready()
        try machine.write(.named("A"), .named("B"))
        #expect(machine.completed() == "A")
        let loss = try machine.lose()
        #expect(loss.sentNames == ["B"] && loss.unsent.isEmpty && loss.error.mayHaveBeenApplied)
        // Commands wait for the first attempt to connect, and fail if it fails.
        #expect(machine.admit([.named("C")]).isWait)
        let failed = try machine.lose()
        #expect(failed.sent.isEmpty && failed.unsentNames == ["C"])
        #expect(failed.refusal.code == .connectionFailed && !failed.refusal.mayHaveBeenApplied)
    }

    @Test("A shutdown fails all commands, and only those in flight may have been applied")
    func aShutdownFailsAllCommands() throws {
        var machine = try RedisConnectionMachine.ready()
        try machine.write(.named("A"))
        #expect(machine.demoted(.gone) == nil)
        #expect(machine.admit([.named("B")]).isWait)
        let loss = machine.shutDown(.shutDown)
        #expect(loss.sentNames == ["A"] && loss.unsentNames == ["B"] && loss.reconnect == .never)
        #expect(loss.error.mayHaveBeenApplied && !loss.refusal.mayHaveBeenApplied)
        #expect(machine.inFlight.isEmpty && machine.waiting.isEmpty)
    }

    // MARK: Handshake

    @Test("The handshake authenticates, selects, names, pings and asks for the role")
    func theHandshakeHasAllCommands() throws {
        var configuration = RedisConfiguration.test
        (configuration.password, configuration.database, configuration.clientName) = ("p", 3, "n")
        var machine = RedisConnectionMachine(configuration: configuration)
        _ = machine.start()
        let names = try machine.beginHandshake(.master)
        #expect(names == ["AUTH", "SELECT", "CLIENT", "PING", "ROLE"])
        // A connection may remain without a name, and may serve reads if Redis cannot write its
        // disk.
        for reply in ["+OK", "+OK", "-NOPERM", "-MISCONF"] {
            guard case .none = machine.received(.reply(reply), now: .at(0)) else { Issue.record("\(reply)"); return }
        }
        let role = "*3 $6 master :1 *0"
        guard case .connected = machine.received(.reply(role), now: .at(0)) else { Issue.record("not connected"); return }
    }

    @Test("A refused handshake fails the attempt", arguments: ["-LOADING", "-NOAUTH", "-WRONGPASS"])
    func aRefusedHandshakeFailsTheAttempt(reply: String) throws {
        var machine = RedisConnectionMachine(configuration: .test)
        _ = machine.start()
        #expect(machine.admit([.named("A")]).isWait)
        _ = machine.opened(.none, now: .at(0))
        guard case .lose(let loss?) = machine.received(.reply(reply), now: .at(0)) else { Issue.record("not lost"); return }
        #expect(loss.unsentNames == ["A"] && loss.reconnect == .later(doublings: 0))
    }

    @Test("A replica is rejected when a master is needed")
    func aReplicaIsRejected() throws {
        var machine = RedisConnectionMachine(configuration: .test)
        _ = machine.start()
        _ = machine.opened(.master, now: .at(0))
        _ = machine.received(.ok, now: .at(0))
        let role = "*5 $5 slave $1 h :1 $9 connected :1"
        guard case .reject(let loss?) = machine.received(.reply(role), now: .at(0)) else { Issue.record("not rejected"); return }
        #expect(loss.error.code == .readOnly && loss.reconnect == .later(doublings: 0))
    }

    // MARK: Another server

    @Test("A demoted server replies to what was sent, and then the connection ends")
    func aDemotedServerIsLeftAfterItsLastReply() throws {
        var machine = try RedisConnectionMachine.ready()
        try machine.write(.named("A"), .named("B"))
        #expect(machine.demoted(.gone) == nil && !machine.isReady)
        #expect(machine.admit([.named("C")]).isWait)
        #expect(machine.completed() == "A")
        guard case .completeLast(let request, _, let loss?) = machine.received(.ok, now: .at(0)) else {
            Issue.record("not the last")
            return
        }
        #expect(request.command.name == "B" && loss.sent.isEmpty && loss.unsent.isEmpty && loss.reconnect == .now)
        // Commands that were not sent yet are sent to the new master.
        _ = machine.located(.unix(path: "/there"))
        _ = machine.opened(.none, now: .at(0))
        guard case .connected(let waiting) = machine.received(.ok, now: .at(0)) else { Issue.record("not connected"); return }
        #expect(waiting.map(\.command.name) == ["C"])
    }

    @Test("A server that moved is left at once, and an unused one when it is named")
    func aServerThatMovedIsLeft() throws {
        var machine = try RedisConnectionMachine.ready()
        try machine.write(.named("A"))
        #expect(machine.follow(.unix(path: "/here")) == nil && machine.leave(.unix(path: "/there")) == nil)
        let left = machine.follow(.unix(path: "/there"))
        let loss = try #require(left)
        #expect(loss.sentNames == ["A"] && loss.error.mayHaveBeenApplied && loss.reconnect == .now)
        machine = try .ready()
        #expect(machine.leave(.unix(path: "/here"))?.reconnect == .now)
        machine = RedisConnectionMachine(configuration: .test)
        _ = machine.start()
        #expect(machine.follow(.unix(path: "/there")) == nil)
        _ = machine.opened(.none, now: .at(0))
        #expect(machine.leave(.unix(path: "/here"))?.reconnect == .later(doublings: 0))
    }

    // MARK: Timeouts

    @Test("The oldest command's deadline ends a connection that does not reply")
    func aSilentServerTimesOut() throws {
        var machine = try RedisConnectionMachine.ready()
        #expect(machine.nextDeadline == nil)
        try machine.write(.named("A", until: 2), .named("B", until: 3))
        #expect(machine.nextDeadline == .at(2))
        #expect(machine.timeOut(now: .at(1)).loss == nil)
        #expect(machine.completed(now: .at(1)) == "A" && machine.nextDeadline == .at(3))
        let left = machine.timeOut(now: .at(3)).loss
        let loss = try #require(left)
        #expect(loss.error.code == .timeout && loss.sentNames == ["B"] && loss.reconnect == .now)
        #expect(machine.nextDeadline == nil)
    }

    @Test("A handshake has the time of a connection")
    func aHandshakeTimesOut() throws {
        var machine = RedisConnectionMachine(configuration: .test)
        _ = machine.start()
        #expect(machine.admit([.named("A", until: 12)]).isWait)
        #expect(machine.nextDeadline == .at(12))
        _ = machine.opened(.none, now: .at(10))
        #expect(machine.nextDeadline == .at(11))
        let left = machine.timeOut(now: .at(11)).loss
        let loss = try #require(left)
        #expect(loss.error.message.contains("1000 ms") && loss.reconnect == .later(doublings: 0))
    }

    @Test("Commands wait for a connection until their deadline")
    func waitingCommandsTimeOut() {
        var machine = RedisConnectionMachine(configuration: .test)
        _ = machine.start()
        #expect(machine.admit([.named("A", until: 2), .named("B", until: 3)]).isWait)
        let (unsent, loss) = machine.timeOut(now: .at(2))
        #expect(unsent.map(\.command.name) == ["A"] && loss == nil && machine.nextDeadline == .at(3))
    }

    @Test("A large reply may take long while bytes arrive, and not for ever")
    func silenceIsTimed() throws {
        var configuration = RedisConfiguration.test
        configuration.timesSilence = true
        var machine = try RedisConnectionMachine.ready(configuration)
        try machine.write(.named("A", until: 2))
        machine.heard(now: .at(1))
        #expect(machine.nextDeadline == .at(3) && machine.timeOut(now: .at(2)).loss == nil)
        machine.heard(now: .at(50))
        #expect(machine.nextDeadline == .at(52))
        machine.heard(now: .at(100))
        #expect(machine.nextDeadline == .at(60), "30 times the timeout since the command was sent")
        #expect(machine.timeOut(now: .at(60)).loss?.sentNames == ["A"])
    }
}
