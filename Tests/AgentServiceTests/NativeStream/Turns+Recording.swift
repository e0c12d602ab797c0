import TestSupport
import Testing

@testable import AgentService
@testable import SessionStore

extension Turns {
    /// Follows from the position that `GET …/stream` would use; returns nil if no events are left.
    func join(after id: String? = nil) async throws -> Listener? {
        let id = id.flatMap { EventID($0) }
        guard case .position(let position) = try await service.resumePoint(session.id, after: id, as: .tenant) else { return nil }
        let listener = Listener()
        try service.follow(session.id, from: position, stream: listener.stream, as: .tenant)
        return listener
    }

    /// Returns the bytes for a client that joins after an event.
    func joined(after id: String? = nil) async throws -> String {
        guard let listener = try await join(after: id) else { return "(nothing is left)\n" }
        _ = try await listener.all()
        return listener.text
    }

    /// Returns the bytes for a client that sends its message again.
    func saidAgain(_ text: String, _ extra: [String: JSON] = [:], key: String, after id: String? = nil) async throws -> String {
        let listener = try await say(text, extra, key: key, lastEventID: id)
        _ = try await listener.all()
        return listener.text
    }

    /// Records the bytes for a client that resumes after each event of a stream, by `GET` and by
    /// sending its message again.
    func recordResumes(
        of text: String, _ extra: [String: JSON] = [:], key: String, after events: [Listener.Told], into recording: inout RecordedStreams
    ) async throws {
        recording.add("joined", try await joined())
        recording.add("said again", try await saidAgain(text, extra, key: key))
        for id in events.compactMap(\.id) {
            recording.add("joined after \(id)", try await joined(after: id))
            recording.add("said again after \(id)", try await saidAgain(text, extra, key: key, after: id))
        }
    }

    var recording: RecordedStreams { RecordedStreams(session: session.id.text) }
}

extension Listener {
    /// Returns all bytes, once the stream has ended.
    func bytes() async throws -> String {
        _ = try await all()
        return text
    }
}
