import Logging
import NIOCore
import NIOEmbedded

@testable import AgentService
@testable import RedisClient
@testable import SessionStore

/// Feeds bytes from Redis's address to the decoder, and the replies to everything that reads them.
final class RedisReplies: Target {
    private(set) var accepted = 0

    private static let session = SessionID("s")
    private static let address = RedisConfiguration.Address.tcp(host: "redis", port: 6379)
    /// Not connected: it only parses the replies that it is given.
    private let store: RedisSessionStore

    init() {
        let logger = Logger(label: "fuzz") { _ in SwiftLogNoOpLogHandler() }
        store = RedisSessionStore(
            client: RedisConnectionPool(
                configuration: RedisConfiguration(Self.address), eventLoopGroup: EmbeddedEventLoop(), logger: logger),
            configuration: StoreConfiguration(replica: "fuzz"), logger: logger)
    }

    func run(_ input: [UInt8]) {
        let input = Input(input)
        guard let decoder = try? RedisReplyDecoder(maxBytes: 64 << 10, maxNodes: 4096) else { return }
        var replies: [RedisReply] = []
        do {
            for piece in input.pieces {
                try decoder.feed(ByteBuffer(bytes: piece))
                while let reply = try decoder.next() { replies.append(reply) }
            }
        } catch {
            hold((try? decoder.next()) == nil, "a reply after an error")
        }
        if !replies.isEmpty { accepted += 1 }
        for reply in replies { read(reply) }
        pair(replies)
    }

    private func read(_ reply: RedisReply) {
        _ = (reply.description, reply.buffers, reply.integerValue, reply.time, reply[-1], reply[.max], reply.strings(from: 1))
        if let text = reply.errorMessage {
            let error = RedisError(reply: text)
            var redirects = ClusterRedirects()
            _ = redirects.next(after: [.failure(error)], to: [RedisCommand("GET", "k")], asked: Self.address)
        }
        if let text = reply.string {
            _ = (SwitchMaster(text), RedisRequirements.shortcomings([text]), StepName(message: text))
        }
        _ = try? RedisReply?.some(reply).number(in: "f")
        if let slots = ClusterSlots(reply, asked: Self.address) { _ = (0..<16).map { slots.owner(of: $0 * 1024) } }
        _ = TurnSettings(reply: reply, at: 1)
        _ = try? Acknowledgement(replicas: 1).check(.success(reply))
        log(reply)
        journal(reply.buffers)
    }

    /// Reads a reply as an event log.
    private func log(_ reply: RedisReply) {
        var entries: [LogEntry] = []
        reply.forEachElement { if let entry = LogEntry(reply: $0) { entries.append(entry) } }
        guard let first = entries.first, let session = Self.session else { return }
        let id = EventID(step: max(1, first.step), sequence: max(0, first.lastSequence), nonce: "n")
        let view = LogView(status: .running, step: first.step, nonce: "n", subject: "", leaseLeft: .zero, opening: first, entries: entries)
        for place in [.beginning(of: first.step), .after(id), .before(id), LogPosition.resuming(after: id, in: view, joinsNext: true)] {
            guard let place else { continue }
            var reader = LogReader(place, of: session)
            var events: [IdentifiedEvent] = []
            _ = reader.read(entries, into: &events)
            tell(events)
            hold(reader.position.sequence >= 0, "\(reader.position)")
        }
    }

    /// Events as a client is told them.
    private func tell(_ events: [IdentifiedEvent]) {
        var encoder = NativeEncoder()
        var bytes = ByteBuffer()
        for event in events {
            let before = bytes.writerIndex
            // The nonce is this test's: the log's may be anything here.
            encoder.encode(event.event, id: EventID(step: event.id.step, sequence: event.id.sequence, nonce: "n"), into: &bytes)
            let lines = bytes.getString(at: before, length: bytes.writerIndex - before)?.split(separator: "\n")
            hold(lines?.count == 3, "an event that is not three lines: \(event)")
        }
    }

    /// A journal, or the messages of a history.
    private func journal(_ lines: [ByteBuffer]) {
        guard let session = Self.session else { return }
        for step in [1, 2, Int.max] {
            for nonce in [nil, "abcd"] {
                let found = ReconstructedStep.find(step, nonce: nonce, journal: lines, isComplete: true)
                guard case .found(let rebuilt) = found else { continue }
                _ = (rebuilt.range.count, rebuilt.events(session, messages: lines))
            }
        }
    }

    /// Reads the replies to several commands of one pipeline, as for a view of a session.
    private func pair(_ replies: [RedisReply]) {
        guard replies.count >= 2 else { return }
        for index in replies.indices.dropLast() {
            guard let view = try? store.view([replies[index], replies[index + 1]]) else { continue }
            _ = (view.isOrphaned, view.leaseLeft, view.answers(for: 1), view.answers(for: .max), view.leaseUntil + 1000)
            _ = store.time(of: "").map { $0 + 1000 }
        }
    }
}
