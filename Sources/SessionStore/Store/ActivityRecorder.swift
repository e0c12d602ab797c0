import Locks
import NIOCore
import RedisClient

/// Records in the index which sessions were active. No caller waits for it: records gather for a
/// few milliseconds, so that Redis gets one command per bucket instead of two per turn. A session
/// with an owner is also recorded in the owner's list, and a tenant in the list of tenants.
///
/// A replica that lists sessions writes its own records first. A record that could not be written
/// is tried again later.
final class ActivityRecorder: Sendable {
    private struct State {
        var notes: [SessionID: Activity] = [:]
        /// When each tenant was recorded last, on Redis's clock.
        var tenants: [TenantID: Int64] = [:]
        var isScheduled = false
        /// Whether some could not be written, and wait for the next time.
        var isHeld = false
    }

    private struct Activity {
        /// Milliseconds since 1970 on Redis's clock.
        var time: Int64
        /// The session's owner; empty for none.
        var subject: String
    }

    /// How long records gather before they are written.
    static let delay = TimeAmount.milliseconds(5)
    /// This many are written at once.
    static let limit = 1024
    /// How long records wait that could not be written, and how many do. A session whose record is
    /// lost is not listed before its next message.
    static let pause = TimeAmount.seconds(1)
    static let mostKept = 65_536
    /// How often a tenant with activity is recorded, in milliseconds.
    static let tenantPeriod: Int64 = 60_000

    private let client: RedisConnectionPool
    private let keyspace: RedisKeyspace
    private let state = Guarded(State())

    init(client: RedisConnectionPool, keyspace: RedisKeyspace) {
        self.client = client
        self.keyspace = keyspace
    }

    /// Records a session's activity.
    ///
    /// - Parameters:
    ///   - session: The session.
    ///   - subject: Its owner, as its state has it; empty for none.
    ///   - time: Milliseconds since 1970 on Redis's clock.
    func note(_ session: SessionID, of subject: String, at time: Int64) {
        let (isFull, schedules) = state.withLock { state in
            state.notes[session] = Activity(time: time, subject: subject)
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
            for (session, activity) in notes {
                state.tenants[session.tenant] = nil
                guard state.notes.count < Self.mostKept || state.notes[session] != nil else { break }
                // A later record knows the owner better: the session may have begun again.
                if state.notes[session].map({ $0.time <= activity.time }) ?? true { state.notes[session] = activity }
            }
            defer { (state.isScheduled, state.isHeld) = (true, true) }
            return !state.isScheduled
        }
        if schedules { schedule(in: Self.pause) }
    }

    private typealias Note = (key: SessionID, value: Activity)
    private typealias Batch = (key: String, command: RedisCommand, notes: [Note])

    /// Takes the records that have gathered, as one command for each sorted set.
    private func take() -> [Batch] {
        let (notes, tenants) = state.withLock { state in
            defer { state.notes = [:] }
            return (state.notes, newTenants(&state))
        }
        var sets: [String: (members: [(score: Int64, name: String)], notes: [Note])] = [:]
        for note in notes {
            for place in keyspace.places(of: IndexMember(note.key, subject: note.value.subject)) {
                sets[place.key, default: ([], [])].members.append((note.value.time, place.member))
                sets[place.key, default: ([], [])].notes.append(note)
            }
        }
        for note in tenants {
            sets[keyspace.tenants, default: ([], [])].members.append((note.value.time, note.key.tenant.text))
            sets[keyspace.tenants, default: ([], [])].notes.append(note)
        }
        return sets.map { key, set in
            var command = RedisCommand("ZADD", capacity: key.utf8.count + 80 * set.members.count)
            command.append(key)
            command.append("GT")
            for (score, name) in set.members {
                command.append(integer: score)
                command.append(name)
            }
            return (key, command, set.notes)
        }
    }

    /// Returns a record of each tenant that was not recorded lately.
    private func newTenants(_ state: inout State) -> [Note] {
        var found: [Note] = []
        for note in state.notes where !note.key.tenant.isStandard {
            let tenant = note.key.tenant
            if let time = state.tenants[tenant], note.value.time - time < Self.tenantPeriod { continue }
            if state.tenants.count >= Self.mostKept { state.tenants = [:] }
            state.tenants[tenant] = note.value.time
            found.append(note)
        }
        return found
    }
}
