import Foundation
import NIOCore
import TestSupport
import Testing

@testable import AgentService
@testable import SessionStore

/// The entries of a session's log, without Redis.
private struct WrittenLog {
    var entries: [LogEntry] = []

    mutating func open(_ step: Int, nonce: String = "aaaa", replaces: Int? = nil, restart: Bool = false) {
        var fields = [("nonce", nonce)]
        if let replaces { fields.append(("replaces", "\(replaces)")) }
        if restart {
            let json = #"{"type":"restart","step":\#(step),"replaces":\#(replaces ?? 0),"reason":"replica_lost"}"#
            fields.append(("restart", json))
        }
        append(step, last: 0, fields)
    }

    /// Adds an entry whose events are numbered from `first` on.
    mutating func batch(_ step: Int, from first: Int, _ texts: [String], done: Bool = false) {
        var fields = texts.map { ("token", $0) }
        if done { fields.append(("done", SessionInRedis.done)) }
        append(step, last: first + fields.count - 1, fields)
    }

    private mutating func append(_ step: Int, last: Int, _ fields: [(String, String)]) {
        entries.append(LogEntry(step: step, lastSequence: last, fields: fields.map { ($0.0, ByteBuffer(string: $0.1)) }))
    }

    /// Returns Redis's reply to a read of the entries after a position.
    func after(_ position: (step: Int, sequence: Int)) -> [LogEntry] {
        entries.filter { ($0.step, $0.lastSequence) > (position.step, position.sequence) }
    }
}

/// Collects every event of a reader.
/// The session of all logs here, so that equal events are equal.
private let session = SessionID.unique()

private func tell(
    _ log: WrittenLog, from position: LogPosition, page: Int = .max
) -> (events: [IdentifiedEvent], outcome: LogReader.Outcome) {
    var reader = LogReader(position, of: session)
    var events: [IdentifiedEvent] = []
    while true {
        let entries = Array(log.after(reader.position).prefix(page))
        let outcome = reader.read(entries, into: &events)
        guard outcome == .more, !entries.isEmpty else { return (events, outcome) }
    }
}

private func ids(_ events: [IdentifiedEvent]) -> [String] { events.map(\.id.description) }

@Suite("Reading a log")
struct LogReaderTests {
    /// The result does not depend on the batches or on the sizes of the reads.
    @Test("A reader that resumes after any event gets exactly the later events (I5)", arguments: 0..<8)
    func whoeverResumesGetsTheRest(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var log = WrittenLog()
        log.open(6)
        log.batch(6, from: 1, ["of", "another"], done: true)
        log.open(7)
        var next = 1
        while next < 60 {
            let count = Int.random(in: 1...9, using: &random)
            log.batch(7, from: next, (0..<count).map { "t\(next + $0)" })
            next += count
        }
        log.batch(7, from: next, ["last"], done: true)
        let whole = tell(log, from: .beginning(of: 7))
        #expect(whole.outcome == .done)
        #expect(ids(whole.events) == (1...next + 1).map { "7-\($0).aaaa" })
        for sequence in 0...next {
            let id = EventID(step: 7, sequence: sequence, nonce: "aaaa")
            let rest = tell(log, from: .after(id), page: Int.random(in: 1...5, using: &random))
            #expect(rest.outcome == .done)
            #expect(rest.events == Array(whole.events.dropFirst(sequence)), "seed \(seed), after \(sequence)")
        }
        // A client that has received every event gets no more. A client that asks for the end again
        // gets the end.
        #expect(tell(log, from: .after(EventID(step: 7, sequence: next + 1, nonce: "aaaa"))).events.isEmpty)
        #expect(tell(log, from: .before(EventID(step: 7, sequence: next + 1, nonce: "aaaa"))).events == Array(whole.events.suffix(1)))
    }

    /// Each step that replaces another one has its own nonce.
    @Test("The reader continues through takeovers to the final done event")
    func goesOnThroughTakeovers() {
        var log = WrittenLog()
        log.open(7, nonce: "aaaa")
        log.batch(7, from: 1, ["a", "b"])
        log.open(8, nonce: "bbbb", replaces: 7, restart: true)
        log.batch(8, from: 1, ["a"])
        log.open(9, nonce: "cccc", replaces: 8)
        log.batch(9, from: 1, ["end"], done: true)
        let whole = tell(log, from: .beginning(of: 7))
        #expect(ids(whole.events) == ["7-1.aaaa", "7-2.aaaa", "8-0.bbbb", "8-1.bbbb", "9-1.cccc", "9-2.cccc"])
        #expect(whole.events[2].event == .restarted(StepRestart(step: 8, replaces: 7, reason: .replicaLost)))
        #expect(whole.outcome == .done)
        // The former owner's client has received all events of its step, including events that
        // never reached the log.
        #expect(ids(tell(log, from: .end(of: 7, nonce: "aaaa")).events) == ["8-0.bbbb", "8-1.bbbb", "9-1.cccc", "9-2.cccc"])
        #expect(ids(tell(log, from: .after(EventID(step: 8, sequence: 0, nonce: "bbbb"))).events) == ["8-1.bbbb", "9-1.cccc", "9-2.cccc"])
    }

    /// The step's owner writes the log after it has sent the events.
    @Test("The reader skips events up to an id that is ahead of the log")
    func anIDAheadOfTheLogSkipsWhatItHasSeen() {
        var log = WrittenLog()
        log.open(7)
        log.batch(7, from: 1, ["a", "b"])
        let position = LogPosition.after(EventID(step: 7, sequence: 4, nonce: "aaaa"))
        #expect(tell(log, from: position).events.isEmpty)
        log.batch(7, from: 3, ["c", "d", "e"], done: true)
        #expect(ids(tell(log, from: position).events) == ["7-5.aaaa", "7-6.aaaa"])
    }

    /// The reader reports a missing event. It neither ignores the gap nor returns another event in
    /// place of the missing one.
    @Test("The reader reports a hole")
    func aHoleIsFound() {
        var log = WrittenLog()
        log.open(7)
        log.batch(7, from: 1, ["a", "b"])
        log.batch(7, from: 5, ["e"], done: true)
        #expect(tell(log, from: .beginning(of: 7)).outcome == .gone)
        #expect(tell(log, from: .after(EventID(step: 7, sequence: 2, nonce: "aaaa"))).outcome == .gone)
        #expect(tell(log, from: .after(EventID(step: 7, sequence: 4, nonce: "aaaa"))).outcome == .done)
        // The log was trimmed: the whole step is missing, or its beginning.
        #expect(tell(log, from: .beginning(of: 6)).outcome == .gone)
        log.entries.removeFirst()
        #expect(tell(log, from: .beginning(of: 7)).outcome == .gone)
    }

    /// A person has edited the log, or a later build has written it.
    @Test("A field that cannot be read is a hole, and an unknown one is skipped")
    func whatCannotBeReadIsAHoleAndWhatIsNotKnownIsSkipped() {
        var log = WrittenLog()
        log.open(7)
        let fields = [("token", "a"), ("hint", "x"), ("message", #"{"type":"video"}"#), ("token", "b"), ("done", "{}")]
        log.entries.append(LogEntry(step: 7, lastSequence: 5, fields: fields.map { ($0.0, ByteBuffer(string: $0.1)) }))
        var reader = LogReader(.beginning(of: 7), of: .unique())
        var events: [IdentifiedEvent] = []
        #expect(reader.read(log.after(reader.position), into: &events) == .gone)
        #expect(events.map(\.event) == [.textDelta("a"), .textDelta("b")])
        #expect(ids(events) == ["7-1.aaaa", "7-4.aaaa"] && reader.sequence == 4)
        log.entries[0].fields.append(("restart", ByteBuffer(string: "{}")))
        #expect(tell(log, from: .beginning(of: 7)).outcome == .gone)
    }

    /// A step that replaces no other step belongs to another message.
    @Test("The reader does not continue with a step that replaces nothing")
    func aStepThatReplacesNothingIsNotGoneOnWith() {
        var log = WrittenLog()
        log.open(7)
        log.batch(7, from: 1, ["a"])
        log.open(8)
        log.batch(8, from: 1, ["b"], done: true)
        let told = tell(log, from: .beginning(of: 7))
        #expect(ids(told.events) == ["7-1.aaaa"] && told.outcome == .gone)
    }
}

@Suite("Positions in a log")
struct LogPositionTests {
    private let id = EventID(step: 7, sequence: 3, nonce: "aaaa")

    private func view(
        _ log: WrittenLog, status: SessionState.Status = .idle, step: Int = 7
    ) -> LogView {
        LogView(
            status: status, step: step, nonce: "aaaa", subject: "", leaseLeft: .seconds(1),
            opening: log.entries.first { ($0.step, $0.lastSequence) == (id.step, 0) }, entries: log.after((id.step, id.sequence)))
    }

    private func resuming(_ view: LogView, joinsNext: Bool = true) -> LogPosition? {
        .resuming(after: id, in: view, joinsNext: joinsNext)
    }

    @Test("A known id resolves to the position after it")
    func goesOnBehindTheID() {
        var log = WrittenLog()
        log.open(7)
        log.batch(7, from: 1, ["a", "b", "c"])
        #expect(resuming(view(log, status: .running)) == .after(id))
        // The client has received all existing events, and no step runs.
        #expect(resuming(view(log)) == nil)
        log.batch(7, from: 4, ["d"], done: true)
        #expect(resuming(view(log)) == .after(id))
    }

    @Test("The id of a step's end resolves to the next step")
    func theEndOfAStepIsFollowedByTheNextOne() {
        var log = WrittenLog()
        log.open(7)
        log.batch(7, from: 1, ["a", "b"], done: true)
        log.open(9)
        #expect(resuming(view(log, status: .running, step: 9)) == .beginning(of: 9))
        #expect(resuming(view(log, status: .running, step: 9), joinsNext: false) == nil)
    }

    @Test("A step that replaced another one belongs to the same stream")
    func aStepThatTookThePlaceIsTheSameStream() {
        var log = WrittenLog()
        log.open(7)
        log.batch(7, from: 1, ["a", "b", "c"])
        log.open(8, nonce: "bbbb", replaces: 7, restart: true)
        #expect(resuming(view(log, status: .running, step: 8)) == .after(id))
        #expect(resuming(view(log, status: .running, step: 8), joinsNext: false) == .after(id))
    }

    /// The client learns that its text is void.
    @Test("An id that the log does not know restarts the whole step (I5)")
    func anIDThatIsNotTheLogsVoidsWhatTheClientHas() {
        var log = WrittenLog()
        log.open(7, nonce: "zzzz")
        log.batch(7, from: 1, ["a", "b", "c", "d"])
        #expect(resuming(view(log, status: .running)) == .beginning(of: 7, voiding: 7))
        // The id is older than the log.
        #expect(resuming(view(WrittenLog(), step: 12)) == .beginning(ofStepOf: id))
        // The id is of a session that was deleted and begun anew.
        #expect(resuming(view(WrittenLog(), step: 2)) == .beginning(of: 2, voiding: 7))
    }
}
