/// The order in which sentinels are asked for the master, and the meaning of their replies. A
/// value: its methods take events and return actions.
///
/// The next inquiry starts with the sentinel that replied last. Sentinels that were silent, or that
/// named a server that is not a master, come last.
struct SentinelInquiry: Sendable {
    typealias Address = RedisConfiguration.Address

    enum Action: Sendable, Equatable {
        case ask(Address)
        case found(Address)
        case fail(String)
    }

    private let masterName: String
    private var sentinels: [Address]
    /// The number of sentinels that this inquiry has not asked yet.
    private var left = 0
    private var problem = "there is no sentinel"
    /// The address from the sentinel that is first in the order.
    private var found: Address?
    /// The latest address that has not turned out to be wrong. It is tried when no sentinel
    /// replies: the server itself reports whether it is a master.
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

    /// Handles the reply of the sentinel that was asked: host and port, or null if it does not know
    /// the master.
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

    /// Handles a server that turned out not to be a master: its sentinel may not know yet. Several
    /// connections may report the same address.
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

/// A sentinel's message on `+switch-master`: the master's name, its old address, and its new one.
struct SwitchMaster: Sendable, Equatable {
    static let channel = "+switch-master"

    var masterName: String
    var address: RedisConfiguration.Address

    /// Reads `NAME OLD-HOST OLD-PORT NEW-HOST NEW-PORT`.
    init?(_ message: String) {
        let words = message.split(separator: " ")
        guard words.count == 5, let port = Int(words[4]), (1...65535).contains(port) else { return nil }
        masterName = String(words[0])
        address = .tcp(host: String(words[3]), port: port)
    }
}
