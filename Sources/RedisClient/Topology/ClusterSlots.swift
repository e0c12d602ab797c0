/// The master of each slot of a Cluster (Redis Cluster specification, "Key distribution model"). A
/// value.
package struct ClusterSlots: Sendable {
    typealias Address = RedisConfiguration.Address

    static let count = 16_384
    /// The specification's own bound.
    package static let mostNodes = 1000
    private static let none = UInt16.max

    /// The masters, without duplicates.
    private(set) var nodes: [Address] = []
    /// For each slot the index of its master.
    private var owners = [UInt16](repeating: none, count: count)

    /// An empty table.
    init() {}

    /// Reads a reply to `CLUSTER SLOTS`: elements of first slot, last slot, master (host, port, …),
    /// replicas ….
    ///
    /// - Parameter asked: The node that replied. It may omit its own host.
    /// - Returns: Nil if the reply is malformed or names no slot.
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
            // A null host means a node that does not know its own address.
            let address = Self.address(host: range[2]?[0]?.string ?? "", port: port, asked: asked)
            guard let node = index(of: address) else { return }
            for slot in first...last { owners[slot] = node }
        }
        guard isWellFormed else { return nil }
    }

    /// Whether each slot has a node.
    var isComplete: Bool { !owners.contains(Self.none) }

    func owner(of slot: Int) -> Address? {
        guard owners.indices.contains(slot), nodes.indices.contains(Int(owners[slot])) else { return nil }
        return nodes[Int(owners[slot])]
    }

    /// Records that the slot has moved to another node.
    mutating func move(_ slot: Int, to address: Address) {
        guard owners.indices.contains(slot), let node = index(of: address) else { return }
        owners[slot] = node
    }

    /// Returns the slots that another node had in `old`.
    func moved(since old: ClusterSlots) -> [Int] {
        // Most tables equal the one before.
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

    /// Returns the address as a node reports it. An empty host means the node's own.
    static func address(host: String, port: Int, asked: Address) -> Address {
        if host.isEmpty || host == "?", case .tcp(let own, _) = asked { return .tcp(host: own, port: port) }
        return .tcp(host: host, port: port)
    }

    /// Returns the slot of a key: of the content of its first `{…}` if that is not empty, otherwise
    /// of the whole key.
    package static func slot(of key: String) -> Int {
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
