import Foundation
import NIOCore
import TestSupport
import Testing

@testable import AgentService
@testable import SessionStore

@Suite("The window of recent log entries")
struct LogWindowTests {
    private func entry(_ sequence: Int, _ text: String = "x", step: Int = 7) -> LogEntry {
        LogEntry(step: step, lastSequence: sequence, fields: [("token", ByteBuffer(string: text))])
    }

    private func view(_ entries: [LogEntry], step: Int = 7, nonce: String = "aaaa") -> LogView {
        LogView(status: .running, step: step, nonce: nonce, subject: "", leaseLeft: .seconds(1), opening: nil, entries: entries)
    }

    private let session = SessionID.unique()

    private func reader(_ sequence: Int) -> LogReader {
        LogReader(.after(EventID(step: 7, sequence: sequence, nonce: "aaaa")), of: session)
    }

    private func ids(_ look: LogLook?) -> [String]? {
        look.map { $0.events.map(\.id.description) }
    }

    private func look(_ window: LogWindow, from sequence: Int) -> LogLook? {
        var window = window
        return window.look(reader(sequence))
    }

    private func isPlain(_ window: LogWindow, from sequence: Int) -> Bool? {
        look(window, from: sequence)?.isPlain(before: reader(sequence))
    }

    @Test("A reader at any position in the window gets the rest")
    func readersAtAnyPlaceWithinAreToldTheRest() {
        var window = LogWindow(at: (7, 2))
        #expect(look(window, from: 2) == nil, "nothing was read")
        window.add(view([entry(3), entry(4)]))
        window.add(view([entry(5)]))
        #expect(window.end.step == 7 && window.end.sequence == 5)
        #expect(look(window, from: 1) == nil)
        for position in 2...5 {
            let told = look(window, from: position)
            #expect(ids(told) == (position..<5).map { "7-\($0 + 1).aaaa" } && told?.reader == reader(5))
            #expect(isPlain(window, from: position) == true && told?.hasEntries == (position < 5))
        }
        // A reader whose position is after the window gets no events.
        #expect(ids(look(window, from: 9)) == [])
        // Most readers are at the same position, and get the same events.
        let first = window.look(reader(3))
        let second = window.look(reader(3))
        #expect(first?.events == second?.events && ids(second) == ["7-4.aaaa", "7-5.aaaa"])
    }

    @Test("The window keeps the last read and bounds older ones")
    func whatIsOldGoes() {
        var window = LogWindow(at: (7, 0))
        window.add(view((1...1000).map { entry($0) }))
        #expect(ids(look(window, from: 0))?.count == 1000)
        window.add(view([entry(1001)]))
        #expect(window.start.sequence == 744)
        #expect(look(window, from: 743) == nil)
        #expect(ids(look(window, from: 744))?.count == 257)
        window.add(view([entry(1002, String(repeating: "x", count: 1 << 20))]))
        #expect(look(window, from: 1001) != nil)
        window.add(view([entry(1003)]))
        #expect(look(window, from: 1001) == nil)
        #expect(ids(look(window, from: 1002)) == ["7-1003.aaaa"])
    }

    @Test("Another nonce empties the window")
    func anotherLogVoidsWhatIsHeld() {
        for (step, nonce) in [(7, "zzzz"), (1, "bbbb")] {
            var window = LogWindow(at: (7, 0))
            window.add(view([entry(1), entry(2)]))
            window.add(view([], step: step, nonce: nonce))
            #expect(look(window, from: 1) == nil)
            #expect(isPlain(window, from: 2) == false)
        }
    }

    /// Other events may be outdated, so that followers read them again before they use them.
    @Test("Only the running step's events are served without another read")
    func onlyTheRunningStepsEventsArePlain() {
        var window = LogWindow(at: (7, 0))
        var idle = view([entry(1)])
        idle.status = .idle
        window.add(idle)
        #expect(isPlain(window, from: 0) == false)
        window.add(view([], step: 8))
        #expect(isPlain(window, from: 0) == false)
        window = LogWindow(at: (7, 1))
        window.add(view([entry(5)]))
        #expect(look(window, from: 1)?.outcome == .gone && isPlain(window, from: 1) == false)
        window.add(view([LogEntry(step: 7, lastSequence: 6, fields: [("done", ByteBuffer(string: SessionInRedis.done))])]))
        #expect(look(window, from: 5)?.outcome == .done && isPlain(window, from: 5) == true)
    }
}
