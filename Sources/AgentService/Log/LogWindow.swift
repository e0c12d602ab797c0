import NIOCore
import SessionStore

/// The latest part of a session's log, as it was read last: enough for all viewers that keep up. A value.
struct LogWindow {
    typealias Position = (step: Int, sequence: Int)

    /// Older reads are kept for viewers that are a little behind, up to so many entries and bytes. The last one is kept whatever its size.
    private static let mostEntries = 256
    private static let mostBytes = 256 << 10

    /// The entries after this place are held, up to ``end``.
    private(set) var start: Position
    private(set) var end: Position
    /// What the last read said beside the log.
    private(set) var view: LogView?
    private var entries: [(entry: LogEntry, byteCount: Int)] = []
    /// What readers at one place were told of the last read: most are at the same.
    private var told: (from: LogReader, look: LogLook)?

    init(at position: Position) {
        (start, end) = (position, position)
    }

    func covers(_ position: Position) -> Bool { position >= start }

    /// Takes in what was read after ``end``.
    mutating func add(_ view: LogView) {
        told = nil
        if let known = self.view, view.step < known.step || (view.step == known.step && view.nonce != known.nonce) {
            // The session was begun anew, or a failover gave the number out twice: what is held is another log's.
            entries = []
            start = end
        }
        trim()
        for entry in view.entries where (entry.step, entry.lastSequence) > end {
            entries.append((entry, entry.fields.reduce(0) { $0 + $1.value.readableBytes }))
            end = (entry.step, entry.lastSequence)
        }
        self.view = view
        self.view?.entries = []
    }

    private mutating func trim() {
        var (count, bytes) = (entries.count, entries.reduce(0) { $0 + $1.byteCount })
        var dropped = 0
        while count > Self.mostEntries || bytes > Self.mostBytes, dropped < entries.count {
            let (entry, byteCount) = entries[dropped]
            start = (entry.step, entry.lastSequence)
            (count, bytes, dropped) = (count - 1, bytes - byteCount, dropped + 1)
        }
        entries.removeFirst(dropped)
    }

    /// What a reader is told of what is held; nil where it does not begin within, or nothing was read yet.
    mutating func look(_ reader: LogReader) -> LogLook? {
        guard let view, covers(reader.position) else { return nil }
        if let told, told.from == reader { return told.look }
        let position = reader.position
        // Nearly all of what is held was told before.
        let first = entries.lastIndex { ($0.entry.step, $0.entry.lastSequence) <= position }.map { $0 + 1 } ?? 0
        let look = LogLook(reader, told: entries[first...].map(\.entry), view)
        told = (reader, look)
        return look
    }
}

/// What one look at a log tells a reader.
struct LogLook {
    /// Without the entries.
    let view: LogView
    let hasEntries: Bool
    /// Whether more may be there already.
    let isFull: Bool
    /// The events that the client does not have.
    let events: [IdentifiedEvent]
    let outcome: LogReader.Outcome
    /// The reader afterwards.
    let reader: LogReader

    init(_ reader: LogReader, told entries: [LogEntry], _ view: LogView, isFull: Bool = false) {
        var (after, events) = (reader, [IdentifiedEvent]())
        outcome = after.read(entries, into: &events)
        (self.reader, self.events, hasEntries, self.isFull) = (after, events, !entries.isEmpty, isFull)
        var view = view
        view.entries = []
        self.view = view
    }

    /// Whether it says what can be told although it may be a little old: the events of the step that runs, or its end. All else is looked at
    /// again before the client is told.
    func isPlain(before reader: LogReader) -> Bool {
        if let nonce = reader.nonce, view.step == reader.step, nonce != view.nonce { return false }
        switch outcome {
        case .done: return true
        case .more: return view.isRunning && view.step == self.reader.step
        case .gone: return false
        }
    }
}
