import TestSupport
import Testing

@testable import RedisClient

@Suite("The table of cluster slots")
struct ClusterSlotsTests {
    private func slots(_ resp: String) throws -> ClusterSlots? { ClusterSlots(try RedisReply(resp: resp), asked: .node(0)) }

    /// The Redis Cluster specification contains this value.
    @Test("The checksum has the specification's value")
    func theChecksumIsTheSpecifications() {
        #expect(CRC16.checksum("123456789".utf8) == 0x31C3)
        #expect(CRC16.checksum([]) == 0)
    }

    /// `CLUSTER KEYSLOT` returns these values.
    @Test(
        "The slot follows the hash tag",
        arguments: [
            ("", 0), ("foo", 12182), ("{foo}", 12182), ("a{foo}b{bar}", 12182), ("foo{}", 5542), ("{}foo", 9500), ("foo{{bar}}zap", 4015),
            ("{user1000", 8723), ("user1000}", 1363),
        ]
    )
    func theSlotIsThatOfTheHashTag(key: String, slot: Int) {
        #expect(ClusterSlots.slot(of: key) == slot)
    }

    @Test("The table says which node serves each slot")
    func readsWhichNodeHasWhat() throws {
        let table = try #require(
            try slots("*2 *4 :0 :8000 *3 $2 n1 :7001 $2 id *3 $2 n4 :7004 $2 id *3 :8001 :16383 *3 $2 n2 :7002 $2 id"))
        #expect(table.isComplete && table.nodes == [.node(1), .node(2)])
        #expect(table.owner(of: 0) == .node(1) && table.owner(of: 8000) == .node(1))
        #expect(table.owner(of: 8001) == .node(2) && table.owner(of: 16383) == .node(2))
        #expect(table.owner(of: 16384) == nil && table.owner(of: -1) == nil)
    }

    /// A slot has moved if another node served it before. A slot that no node served has not moved.
    @Test("The table knows which slots moved")
    func knowsWhatHasMoved() throws {
        let before = try #require(try slots("*2 *3 :0 :100 *3 $2 n1 :7001 $2 id *3 :200 :300 *3 $2 n2 :7002 $2 id"))
        let after = try #require(try slots("*2 *3 :0 :99 *3 $2 n2 :7002 $2 id *3 :100 :300 *3 $2 n1 :7001 $2 id"))
        #expect(after.moved(since: before) == Array(0...99) + Array(200...300))
        #expect(after.moved(since: after).isEmpty && after.moved(since: ClusterSlots()).isEmpty)
        var moved = after
        moved.move(100, to: .node(3))
        #expect(moved.moved(since: after) == [100])
    }

    @Test("A node without an address means the node that was asked")
    func aNodeThatDoesNotKnowItsAddressMeansItsOwn() throws {
        for host in ["$0 ", "$-1", "$1 ?"] {
            let table = try #require(try slots("*1 *3 :0 :16383 *3 \(host) :7009 $2 id"))
            #expect(table.owner(of: 5) == .tcp(host: "n0", port: 7009), "\(host)")
        }
    }

    @Test("A table with holes is incomplete")
    func aTableWithHolesIsNotComplete() throws {
        let table = try #require(try slots("*1 *3 :0 :16382 *3 $2 n1 :7001 $2 id"))
        #expect(!table.isComplete && table.owner(of: 16383) == nil)
        #expect(!ClusterSlots().isComplete && ClusterSlots().owner(of: 0) == nil)
    }

    @Test("A moved slot is at its new node")
    func aMovedSlotIsAtItsNewNode() throws {
        var table = try #require(try slots("*1 *3 :0 :16383 *3 $2 n1 :7001 $2 id"))
        table.move(7, to: .node(2))
        table.move(8, to: .node(2))
        table.move(-1, to: .node(3))
        table.move(16384, to: .node(3))
        #expect(table.owner(of: 7) == .node(2) && table.owner(of: 8) == .node(2) && table.owner(of: 9) == .node(1))
        #expect(table.nodes == [.node(1), .node(2)])
    }

    @Test(
        "A reply that is not a table is refused",
        arguments: [
            "*0", "$2 xx", "*1 :1", "*1 *3 :0 :16384 *3 $2 n1 :7001 $2 id", "*1 *3 :-1 :5 *3 $2 n1 :7001 $2 id",
            "*1 *3 :9 :5 *3 $2 n1 :7001 $2 id",
            "*1 *2 :0 :5", "*1 *3 :0 :5 *1 $2 n1", "*1 *3 :0 :5 *3 $2 n1 :0 $2 id", "*1 *3 :0 :5 *3 $2 n1 :65536 $2 id",
            "*2 *3 :0 :5 *3 $2 n1 :7001 $2 id :7",
        ]
    )
    func whatIsNoTableIsRefused(resp: String) throws {
        #expect(try slots(resp) == nil)
    }

    @Test("The number of nodes is bounded")
    func thereIsABoundOnNodes() {
        var table = ClusterSlots()
        for number in 0..<2000 { table.move(number, to: .node(number)) }
        #expect(table.nodes.count == ClusterSlots.mostNodes)
        #expect(table.owner(of: 999) == .node(999) && table.owner(of: 1000) == nil)
    }
}
