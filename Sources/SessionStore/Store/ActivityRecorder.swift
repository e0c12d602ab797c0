import Locks
import NIOCore
import RedisClient

/// Records in the index which sessions were active. No caller waits for it: records gather for a
/// few milliseconds, so that Redis gets one command per bucket instead of two per turn.
///
/// A replica that lists sessions writes its own records first. A record that could not be written
/// is tried again later.
final class ActivityRecorder: Sendable {
    private struct State {
        var notes: [SessionID: Int64] = [:]
        var isScheduled = false
        /// Whether some could not be written, and wait for the next time.
        var isHeld = false
    }

    /// How long records gather before they are written.
    static let delay = TimeAmount.milliseconds(5)
    /// This many are written at once.
    static let limit = 1024
    /// How long records wait that could not be written, and how many do. A session whose record is
    /// lost is not listed before its next message.
    static let pause = TimeAmount.seconds(1)
    static let mostKept = 65_536

    private let client: RedisConnectionPool
    private let keyspace: RedisKeyspace
    private let state = Guarded(State())

    init(client: RedisConnectionPool, keyspace: RedisKeyspace) {
        self.client = client
        self.keyspace = keyspace
    }

    /// Records a session's activity.
    ///
    /// - Parameter time: Milliseconds since 1970 on Redis's clock.
    func note(_ session: SessionID, at time: Int64) {
        let (isFull, schedules) = state.withLock { state in
            state.notes[session] = time
            defer { state.isScheduled = true }
            return (state.notes.count >= Self.limit && !state.isHeld, !state.isScheduled)
        }
        if isFull { write() }
        if schedules { schedule(in: Self.delay) }
    }

    private func schedule(in delay: TimeAmount) {
        client.subscriber.eventLoop.scheduleTask(in: delay) { [weak self] in
            self?.state.withLock { ($0.isScheduled, $0.isHeld) = (false, false) }
            self?.write()
        }
    }

    /// Drops the record of a session that was deleted.
    func forget(_ session: SessionID) {
        state.withLock { _ = $0.notes.removeValue(forKey: session) }
    }

    /// Writes the records, and waits for Redis's replies; gives up at the first failure.
    func flush() async {
        let batches = take()
        for (index, batch) in batches.enumerated() {
            do throws(RedisError) {
                _ = try await client.route(for: batch.key).send(batch.command)
            } catch {
                for unwritten in batches[index...] { putBack(unwritten.notes) }
                return
            }
        }
    }

    private func write() {
        for batch in take() {
            client.route(for: batch.key).submit(batch.command) { [weak self] result in
                if case .failure = result { self?.putBack(batch.notes) }
            }
        }
    }

    /// Keeps records for another try. Written late they undo nothing, since `ZADD GT` keeps the
    /// later time.
    private func putBack(_ notes: [Note]) {
        let schedules = state.withLock { state in
            for (session, time) in notes {
                guard state.notes.count < Self.mostKept || state.notes[session] != nil else { break }
                state.notes[session] = max(time, state.notes[session] ?? time)
            }
            defer { (state.isScheduled, state.isHeld) = (true, true) }
            return !state.isScheduled
        }
        if schedules { schedule(in: Self.pause) }
    }

    private typealias Note = (key: SessionID, value: Int64)

    /// Takes the records that have gathered, as one command for each tenant and bucket.
    private func take() -> [(key: String, command: RedisCommand, notes: [Note])] {
        let notes = state.withLock { state in
            defer { state.notes = [:] }
            return state.notes
        }
        return Dictionary(grouping: notes, by: { RedisKeys($0.key, in: keyspace).index }).map { key, notes in
            var command = RedisCommand("ZADD", capacity: key.utf8.count + 80 * notes.count)
            command.append(key)
            command.append("GT")
            for (session, time) in notes {
                command.append(integer: time)
                command.append(session.name)
            }
            return (key, command, notes)
        }
    }
}
