import Logging
import RedisClient

/// What accounts use, by day: always counted, whether or not there are limits.
///
/// A hash for each account and month has the fields `DAY:in`, `DAY:out`, `DAY:steps` and, if the
/// server knows prices, `DAY:cost`.
extension RedisSessionStore {
    /// The counting of one step for one account.
    struct UsageCount {
        let account: Account
        let key: String
        let commands: [RedisCommand]
        /// When the key expires: the first step of a day sets it.
        let expiry: Int64
    }

    /// Returns how to count a step that ends now.
    func usageCounts(of commit: StepCommit) -> [UsageCount] {
        guard let slot = commit.lease.slot else { return [] }
        var counts: [UsageCount] = []
        for share in slot.shares {
            let keys = keys(share.account)
            // Redis has replied before: the step has a lease.
            guard let now = time(of: keys.prefix) ?? outage.latestTime else { continue }
            let day = UsageDay(milliseconds: now)
            let (key, prefix) = (keys.usage(day.month), day.dayOfMonth)
            func increment(_ field: StaticString, _ count: Int) -> RedisCommand? {
                guard count > 0 else { return nil }
                var command = RedisCommand("HINCRBY", key)
                command.append(prefix, field)
                command.append(integer: Int64(count))
                return command
            }
            // The steps come last: their count says whether the day is new.
            let commands = [
                increment(":in", commit.promptTokens), increment(":out", commit.completionTokens), increment(":cost", commit.cost),
                increment(":steps", 1),
            ].compactMap(\.self)
            counts.append(
                UsageCount(account: share.account, key: key, commands: commands, expiry: now + Int64(UsageDay.kept) * UsageDay.length))
        }
        return counts
    }

    /// Takes in the replies to the commands of a count.
    ///
    /// - Returns: Whether the step is counted, or will never be.
    func isCounted(_ count: UsageCount, _ results: some BidirectionalCollection<Result<RedisReply, RedisError>>) -> Bool {
        for case .failure(let error) in results {
            guard !error.mayHaveBeenApplied, !error.isTransient else { return false }
            logger.error(
                "the usage of a step was not counted",
                metadata: ["account": "\(count.account.text)", "error": "\(error)", "code": "usage_not_counted"])
            return true
        }
        if case .success(let reply)? = results.last, reply.integer == 1 {
            client.route(for: count.key).submit(RedisCommand("PEXPIREAT", count.key, "\(count.expiry)")) { _ in }
        }
        return true
    }

    /// Counts a step where its account lies on another server than its session: before the commit,
    /// so that a step that is known to have ended is counted.
    ///
    /// The commit waits for a third of a lease at most, since the step's lease is no longer renewed.
    /// The store then goes on counting beside it.
    func count(_ counts: [UsageCount]) async {
        for count in counts where await !self.count(count, for: configuration.lease / 3) {
            // Nothing waits for the count any more, and the step's task ends with its commit.
            Task {
                guard await !self.count(count, for: self.configuration.commitPatience) else { return }
                self.logger.error(
                    "the usage of a step was not counted", metadata: ["account": "\(count.account.text)", "code": "usage_not_counted"])
            }
        }
    }

    private func count(_ count: UsageCount, for patience: Duration) async -> Bool {
        do throws(StoreError) {
            try await attempt(for: patience, persistent: true) { () throws(RedisError) in
                let results = try await self.client.route(for: count.key).send(pipeline: count.commands)
                guard !self.isCounted(count, results) else { return }
                for result in results { _ = try result.get() }
            }
            return true
        } catch {
            return false
        }
    }

    // MARK: Reading

    /// The most days that one call reads.
    public static let usageDays = UsageDay.kept

    /// Returns what an account has used, for each day of a range on which it has used something.
    ///
    /// - Parameters:
    ///   - account: The account. Its limits do not matter.
    ///   - days: At most ``usageDays`` days; of a longer range, the last ones.
    public func usage(of account: Account, days: ClosedRange<UsageDay>) async throws(StoreError) -> [DayUsage] {
        let first = max(days.lowerBound.number, days.upperBound.number - Self.usageDays + 1)
        let keys = keys(account)
        var months: [String] = []
        for number in first...days.upperBound.number {
            let month = UsageDay(number: number).month
            if months.last != month { months.append(month) }
        }
        let replies = try await read(months.map { RedisCommand("HGETALL", keys.usage($0)) }, key: keys.prefix)
        var usage: [UsageDay: DayUsage] = [:]
        for (month, reply) in zip(months, replies) { reply.readUsage(of: month, into: &usage) }
        return usage.values.filter { first...days.upperBound.number ~= $0.day.number }.sorted { $0.day < $1.day }
    }

    /// Returns the day that Redis's clock shows.
    public func today() async throws(StoreError) -> UsageDay { UsageDay(milliseconds: try await now()) }

    /// Removes everything that Redis has of an account: what it has used, and what its limits count.
    package func forget(_ account: Account) async throws(StoreError) {
        let keys = keys(account)
        let today = try await now(of: keys.prefix) / UsageDay.length
        var names = keys.ofLimits
        // A month outlives its last step by the days for which usage is kept.
        for number in stride(from: Int(today) - UsageDay.kept - 31, through: Int(today) + 1, by: 1) {
            let key = keys.usage(UsageDay(number: number).month)
            if names.last != key { names.append(key) }
        }
        var command = RedisCommand("DEL", capacity: 64 * names.count)
        command.append(contentsOf: names)
        _ = try await read(command, key: keys.prefix)
    }
}

extension RedisReply {
    /// Reads a hash with fields `DAY:COUNT`.
    fileprivate func readUsage(of month: String, into usage: inout [UsageDay: DayUsage]) {
        for index in stride(from: 0, to: count - 1, by: 2) {
            guard let field = self[index]?.string?.split(separator: ":"), field.count == 2, let day = UsageDay("\(month)-\(field[0])"),
                let number = self[index + 1]?.string.flatMap({ Int($0) })
            else { continue }
            switch field[1] {
            case "in": usage[day, default: DayUsage(day: day)].promptTokens = number
            case "out": usage[day, default: DayUsage(day: day)].completionTokens = number
            case "steps": usage[day, default: DayUsage(day: day)].steps = number
            case "cost": usage[day, default: DayUsage(day: day)].cost = number
            default: break
            }
        }
    }
}
