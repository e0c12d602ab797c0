import TestSupport
import Testing

@testable import RedisClient

@Suite("The connection's state machine")
struct RedisConnectionMachineTests {
    @Test("The machine connects once and sends waiting commands")
    func connectsOnceAndSendsWhatWaited() {
        var machine = RedisConnectionMachine()
        #expect(machine.admit() == .wait)
        #expect(machine.start() == .connect)
        #expect(machine.start() == .none)
        #expect(machine.admit() == .wait)
        #expect(machine.connected() == .sendWaiting)
        #expect(machine.connected() == .none)
        #expect(machine.admit() == .send)
        #expect(machine.start() == .none)
    }

    @Test("A loss leads to an attempt at once, then to growing pauses")
    func aLossIsFollowedByAnAttemptAtOnceAndThenByLongerAndLongerPauses() {
        var machine = RedisConnectionMachine()
        _ = machine.start()
        _ = machine.connected()
        #expect(machine.lost() == .connect)
        #expect(machine.admit() == .wait)
        for failures in 0..<40 {
            #expect(machine.lost() == .connectLater(doublings: min(failures, 16)))
            #expect(machine.admit() == .fail(.connectionFailed))
            // A loss that is reported twice counts once.
            #expect(machine.lost() == .none)
            #expect(machine.start() == .connect)
            #expect(machine.admit() == .fail(.connectionFailed))
        }
        #expect(machine.connected() == .sendWaiting)
        #expect(machine.lost() == .connect)
        // A success resets the pauses.
        #expect(machine.lost() == .connectLater(doublings: 0))
    }

    @Test("A closed machine stays closed")
    func onceClosedItStaysClosed() {
        var before = RedisConnectionMachine()
        var connecting = before
        _ = connecting.start()
        var ready = connecting
        _ = ready.connected()
        for machine in [before, connecting, ready] {
            var machine = machine
            machine.shutDown()
            #expect(machine.admit() == .fail(.closed))
            #expect(machine.start() == .none)
            #expect(machine.connected() == .none)
            #expect(machine.lost() == .none)
            machine.shutDown()
            #expect(machine.state == .closed)
        }
        #expect(before.start() == .connect)
    }

    /// Events come in any order. Commands are only sent on an existing connection.
    @Test("The machine never wants two connections at once", arguments: 0..<4)
    func neverWantsTwoConnections(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var machine = RedisConnectionMachine()
        var (attempts, pauses, open) = (0, 0, false)
        func perform(_ action: RedisConnectionMachine.Action) {
            switch action {
            case .none: break
            case .connect: attempts += 1
            case .connectLater: pauses += 1
            case .sendWaiting: open = true
            }
        }
        perform(machine.start())
        for step in 0..<2_000 {
            switch Int.random(in: 0..<3, using: &random) {
            case 0 where attempts > 0:
                attempts -= 1
                perform(machine.connected())
            case 1 where attempts > 0 || open:
                if open { open = false } else { attempts -= 1 }
                perform(machine.lost())
            case 2 where pauses > 0:
                pauses -= 1
                perform(machine.start())
            default: break
            }
            #expect(attempts + pauses + (open ? 1 : 0) == 1, "seed \(seed), step \(step)")
            #expect((machine.admit() == .send) == open, "seed \(seed), step \(step)")
        }
    }
}
