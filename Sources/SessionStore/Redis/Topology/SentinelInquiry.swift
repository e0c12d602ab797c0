/// Which sentinel is asked where the master is, and what becomes of its answer. A value: it is told what happened and says what to do.
///
/// The sentinel that answered last is asked first the next time; those that were silent, or named what is no master, last.
struct SentinelInquiry: Sendable {
    typealias Address = RedisConfiguration.Address

    enum Action: Sendable, Equatable {
        case ask(Address)
        case found(Address)
        case fail(String)
    }

    private let masterName: String
    private var sentinels: [Address]
    /// Sentinels that were not asked yet.
    private var left = 0
    private var problem = "there is no sentinel"
    /// What the sentinel that comes first has named.
    private var found: Address?
    /// What was named last and has not turned out to be no master since. Tried where no sentinel
    /// answers: it says itself whether it is one.
    private var lastKnown: Address?

    init(_ group: SentinelGroup) {
        masterName = group.masterName
        sentinels = group.sentinels
    }

    mutating func begin() -> Action {
        found = nil
        left = sentinels.count
        return askNext()
    }

    private func askNext() -> Action {
        guard left > 0, let sentinel = sentinels.first else {
            if let lastKnown { return .found(lastKnown) }
            return .fail("no sentinel knows where the master “\(masterName)” is: \(problem)")
        }
        return .ask(sentinel)
    }

    /// The answer of the sentinel that was asked: host and port, or nothing where it does not know the master.
    mutating func answered(_ result: Result<RedisReply, RedisError>) -> Action {
        switch result {
        case .success(let reply):
            if let host = reply[0]?.string, !host.isEmpty, let port = reply[1]?.intValue, (1...65535).contains(port) {
                let address = Address.tcp(host: host, port: port)
                (found, lastKnown) = (address, address)
                return .found(address)
            }
            problem = reply.isNull ? "a sentinel does not know it" : "a sentinel answered \(reply)"
        case .failure(let error):
            problem = "\(error)"
        }
        left -= 1
        putOff()
        return askNext()
    }

    /// What was found is no master: perhaps the sentinel does not know yet. Many connections may say so of one answer.
    mutating func rejected(_ address: Address) {
        if lastKnown == address { lastKnown = nil }
        guard found == address else { return }
        found = nil
        putOff()
    }

    private mutating func putOff() {
        if !sentinels.isEmpty { sentinels.append(sentinels.removeFirst()) }
    }
}

/// What sentinels publish on `+switch-master`: a master's name, where it was, and where it is now.
struct SwitchMaster: Sendable, Equatable {
    static let channel = "+switch-master"

    var masterName: String
    var address: RedisConfiguration.Address

    /// `NAME OLD-HOST OLD-PORT NEW-HOST NEW-PORT`
    init?(_ message: String) {
        let words = message.split(separator: " ")
        guard words.count == 5, let port = Int(words[4]), (1...65535).contains(port) else { return nil }
        masterName = String(words[0])
        address = .tcp(host: String(words[3]), port: port)
    }
}
