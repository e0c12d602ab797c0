import NIOCore
import SessionStore

/// The latest part of a session's log: enough for all viewers that keep up. A value.
struct LogWindow {
    typealias Position = (step: Int, sequence: Int)

    /// The bounds on older reads, which viewers need that are a little behind. The last read is
    /// kept whatever its size.
    private static let mostEntries = 256
    private static let mostBytes = 256 << 10

    /// The window holds the entries behind this position, up to ``end``.
    private(set) var start: Position
    private(set) var end: Position
    /// The last read without its entries.
    private(set) var view: LogView?
    private var entries: [(entry: LogEntry, byteCount: Int)] = []
    /// The look of the readers at one position: most readers are at the same one.
    private var told: (from: LogReader, look: LogLook)?

    init(at position: Position) {
        (start, end) = (position, position)
    }

    func covers(_ position: Position) -> Bool { position >= start }

    /// Adds the entries that were read behind ``end``.
    mutating func add(_ view: LogView) {
        told = nil
        if let known = self.view, view.step < known.step || (view.step == known.step && view.nonce != known.nonce) {
            // The session was begun again, or a failover gave the number out twice: the entries are
            // another log's.
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

    /// Returns the events of the window for a reader; nil where the reader is not within it, or
    /// where nothing was read yet.
    mutating func look(_ reader: LogReader) -> LogLook? {
        guard let view, covers(reader.position) else { return nil }
        if let told, told.from == reader { return told.look }
        let position = reader.position
        // The reader has nearly all entries already.
        let first = entries.lastIndex { ($0.entry.step, $0.entry.lastSequence) <= position }.map { $0 + 1 } ?? 0
        let look = LogLook(reader, told: entries[first...].map(\.entry), view)
        told = (reader, look)
        return look
    }
}

/// The result of one read of the log for a reader.
struct LogLook {
    /// The state of the session, without the entries.
    let view: LogView
    let hasEntries: Bool
    /// Whether the log may hold more entries already.
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

    /// Returns whether the client may get this look although it may be a little old: it has events
    /// of the running step, or its end. Otherwise the follower reads again first.
    func isPlain(before reader: LogReader) -> Bool {
        if let nonce = reader.nonce, view.step == reader.step, nonce != view.nonce { return false }
        switch outcome {
        case .done: return true
        case .more: return view.isRunning && view.step == self.reader.step
        case .gone: return false
        }
    }
}
