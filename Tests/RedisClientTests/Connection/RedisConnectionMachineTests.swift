import NIOCore
import TestSupport
import Testing

@testable import RedisClient

@Suite("The connection's state machine: connecting")
struct RedisConnectionMachineTests {
    @Test("The machine connects once and sends waiting commands")
    func connectsOnceAndSendsWhatWaited() throws {
        var machine = RedisConnectionMachine(configuration: .test)
        #expect(machine.admit([.named("A")]).isWait)
        #expect(machine.start() == .now)
        #expect(machine.start() == .never)
        #expect(machine.admit([.named("B")]).isWait)
        let handshake = try machine.beginHandshake()
        #expect(handshake == ["PING"])
        #expect(machine.opened(.none, now: .at(0)) == nil)
        #expect(machine.admit([.named("C")]).isWait)
        guard case .connected(let waiting) = machine.received(.ok, now: .at(0)) else { Issue.record("not connected"); return }
        #expect(waiting.map(\.command.name) == ["A", "B", "C"])
        #expect(machine.isReady && machine.waiting.isEmpty)
        #expect(machine.admit([.named("D")]).isWrite)
        #expect(machine.start() == .never)
    }

    @Test("The first attempt after a loss is immediate, later ones back off")
    func aLossIsFollowedByAnAttemptAtOnceAndThenByLongerAndLongerPauses() throws {
        var machine = try RedisConnectionMachine.ready()
        #expect(machine.lost(.gone)?.reconnect == .now)
        #expect(machine.admit([.named("A")]).isWait)
        for failures in 0..<40 {
            #expect(machine.lost(.gone)?.reconnect == .later(doublings: min(failures, 16)))
            #expect(machine.admit([.named("A")]).failure?.code == .connectionFailed)
            // If a loss is reported twice, the machine counts it once.
            #expect(machine.lost(.gone) == nil)
            #expect(machine.start() == .now)
            #expect(machine.admit([.named("A")]).failure?.code == .connectionFailed)
        }
        try machine.becomeReady()
        #expect(machine.lost(.gone)?.reconnect == .now)
        // A success resets the pauses.
        #expect(machine.lost(.gone)?.reconnect == .later(doublings: 0))
    }

    @Test("A series of failed attempts is logged once, and each loss of a connection")
    func aSeriesOfFailuresIsLoggedOnce() throws {
        var machine = RedisConnectionMachine(configuration: .test)
        _ = machine.start()
        #expect(machine.lost(.gone)?.isLogged == true)
        _ = machine.start()
        #expect(machine.lost(.gone)?.isLogged == false)
        _ = machine.start()
        try machine.becomeReady()
        #expect(machine.lost(.gone)?.isLogged == true)
        #expect(machine.lost(.gone)?.isLogged == true)
        _ = machine.start()
        #expect(machine.lost(.gone)?.isLogged == false)
    }

    @Test("A closed machine stays closed")
    func onceClosedItStaysClosed() throws {
        var idle = RedisConnectionMachine(configuration: .test)
        var connecting = idle
        _ = connecting.start()
        var handshaking = connecting
        _ = handshaking.opened(.none, now: .at(0))
        for machine in [idle, connecting, handshaking, try .ready()] {
            var machine = machine
            _ = machine.shutDown(.shutDown)
            #expect(machine.admit([.named("A")]).failure?.code == .closed)
            #expect(machine.start() == .never)
            #expect(machine.located(.unix(path: "/elsewhere")) == false)
            #expect(machine.opened(.none, now: .at(0)) == nil)
            #expect(machine.lost(.gone) == nil && machine.follow(.unix(path: "/elsewhere")) == nil)
            guard case .none = machine.received(.ok, now: .at(0)) else { Issue.record("a reply had an effect"); return }
            _ = machine.shutDown(.shutDown)
            guard case .closed = machine.state else { Issue.record("\(machine.state)"); return }
        }
        #expect(idle.start() == .now)
    }

    @Test("The machine never wants two connections, and sends commands only when it has one", arguments: 0..<4)
    func neverWantsTwoConnections(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var machine = RedisConnectionMachine(configuration: .test)
        var (attempts, pauses, open) = (0, 0, false)
        func perform(_ reconnect: RedisConnectionMachine.Reconnect?) {
            switch reconnect {
            case .never, nil: break
            case .now: attempts += 1
            case .later: pauses += 1
            }
        }
        perform(machine.start())
        for step in 0..<2_000 {
            switch Int.random(in: 0..<3, using: &random) {
            case 0 where attempts > 0:
                attempts -= 1
                _ = machine.opened(.none, now: .at(0))
                if case .connected = machine.received(.ok, now: .at(0)) { open = true }
            case 1 where attempts > 0 || open:
                if open { open = false } else { attempts -= 1 }
                perform(machine.lost(.gone)?.reconnect)
            case 2 where pauses > 0:
                pauses -= 1
                perform(machine.start())
            default: break
            }
            #expect(attempts + pauses + (open ? 1 : 0) == 1, "seed \(seed), step \(step)")
            #expect(machine.admit([]).isWrite == open, "seed \(seed), step \(step)")
        }
    }
}
