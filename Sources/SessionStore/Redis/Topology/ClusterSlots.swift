/// Which node of a Cluster has which slot (Redis Cluster specification, "Key distribution model"). A value.
struct ClusterSlots: Sendable {
    typealias Address = RedisConfiguration.Address

    static let count = 16_384
    /// The specification's own bound on nodes.
    static let mostNodes = 1000
    private static let none = UInt16.max

    /// Masters, each once.
    private(set) var nodes: [Address] = []
    /// For each slot the index of its master.
    private var owners = [UInt16](repeating: none, count: count)

    /// Knows nothing.
    init() {}

    /// Reads the answer to `CLUSTER SLOTS`: elements of first slot, last slot, master (host, port, …), replicas ….
    ///
    /// - Parameter asked: The node that answered; it may leave out its own host.
    /// - Returns: Nil where the answer is no such thing, or names no slot at all.
    init?(_ reply: RedisReply, asked: Address) {
        guard reply.kind == .array, reply.count > 0, reply.count <= Self.count else { return nil }
        var isWellFormed = true
        reply.forEachElement { range in
            guard let first = range[0]?.intValue, let last = range[1]?.intValue, first <= last, (0..<Self.count).contains(first),
                last < Self.count, let port = range[2]?[1]?.intValue, (1...65535).contains(port)
            else {
                isWellFormed = false
                return
            }
            // A null host is a node that does not know its own address.
            let address = Self.address(host: range[2]?[0]?.string ?? "", port: port, asked: asked)
            guard let node = index(of: address) else { return }
            for slot in first...last { owners[slot] = node }
        }
        guard isWellFormed else { return nil }
    }

    /// Whether every slot has a node.
    var isComplete: Bool { !owners.contains(Self.none) }

    func owner(of slot: Int) -> Address? {
        guard owners.indices.contains(slot), nodes.indices.contains(Int(owners[slot])) else { return nil }
        return nodes[Int(owners[slot])]
    }

    /// A node has said that the slot is at another one.
    mutating func move(_ slot: Int, to address: Address) {
        guard owners.indices.contains(slot), let node = index(of: address) else { return }
        owners[slot] = node
    }

    /// The slots that another node had in an older table.
    func moved(since old: ClusterSlots) -> [Int] {
        // Most tables say the same as the one before.
        guard nodes != old.nodes || owners != old.owners else { return [] }
        let places = old.nodes.map { node in nodes.firstIndex(of: node) }
        return owners.indices.filter { slot in
            let (owner, before) = (Int(owners[slot]), Int(old.owners[slot]))
            return nodes.indices.contains(owner) && places.indices.contains(before) && places[before] != owner
        }
    }

    private mutating func index(of address: Address) -> UInt16? {
        if let index = nodes.firstIndex(of: address) { return UInt16(index) }
        guard nodes.count < Self.mostNodes else { return nil }
        nodes.append(address)
        return UInt16(nodes.count - 1)
    }

    /// An address as a node gives it: an empty host means its own.
    static func address(host: String, port: Int, asked: Address) -> Address {
        if host.isEmpty || host == "?", case .tcp(let own, _) = asked { return .tcp(host: own, port: port) }
        return .tcp(host: host, port: port)
    }

    /// The slot of a key: of what stands in its first `{…}`, where that is not empty, or else of all of it.
    static func slot(of key: String) -> Int {
        let bytes = key.utf8
        if let open = bytes.firstIndex(of: UInt8(ascii: "{")) {
            let rest = bytes[bytes.index(after: open)...]
            if let close = rest.firstIndex(of: UInt8(ascii: "}")), close > rest.startIndex {
                return Int(CRC16.checksum(rest[..<close])) % count
            }
        }
        return Int(CRC16.checksum(bytes)) % count
    }
}
