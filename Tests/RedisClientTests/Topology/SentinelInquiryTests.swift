import TestSupport
import Testing

@testable import RedisClient

@Suite("Asking sentinels")
struct SentinelInquiryTests {
    private let group = SentinelGroup(masterName: "m", sentinels: [.node(1), .node(2), .node(3)])
    private let silent = Result<RedisReply, RedisError>.failure(RedisError(.timeout, "silence"))

    private func answer(_ resp: String) throws -> Result<RedisReply, RedisError> { .success(try RedisReply(resp: resp)) }

    @Test("Sentinels are asked in turn until one replies")
    func sentinelsAreAskedInTurnUntilOneAnswers() throws {
        var inquiry = SentinelInquiry(group)
        #expect(inquiry.begin() == .ask(.node(1)))
        #expect(inquiry.answered(silent) == .ask(.node(2)))
        #expect(inquiry.answered(try answer("*-1")) == .ask(.node(3)))
        #expect(inquiry.answered(try answer("*2 $2 n9 $4 7009")) == .found(.node(9)))
        // The next inquiry begins with the sentinel that replied.
        #expect(inquiry.begin() == .ask(.node(3)))
        #expect(inquiry.answered(try answer("*2 $2 n8 $4 7008")) == .found(.node(8)))
    }

    @Test("Each sentinel is asked once, and the problem is reported")
    func eachIsAskedOnceAndTheProblemIsTold() throws {
        var inquiry = SentinelInquiry(group)
        #expect(inquiry.begin() == .ask(.node(1)))
        #expect(inquiry.answered(silent) == .ask(.node(2)))
        #expect(inquiry.answered(silent) == .ask(.node(3)))
        guard case .fail(let problem) = inquiry.answered(silent) else { throw Unexpected(description: "a failure") }
        #expect(problem.contains("“m”") && problem.contains("silence"))
        #expect(inquiry.begin() == .ask(.node(1)))
    }

    @Test(
        "A reply that is not an address is ignored",
        arguments: ["*0", "*1 $2 n9", "*2 $2 n9 $1 x", "*2 $2 n9 $1 0", "*2 $2 n9 $5 65536", "$2 n9", ":1"]
    )
    func whatIsNoAddressIsNoAnswer(resp: String) throws {
        var inquiry = SentinelInquiry(group)
        _ = inquiry.begin()
        #expect(inquiry.answered(try answer(resp)) == .ask(.node(2)))
    }

    /// Many connections may detect the wrong answer at the same time: the inquiry moves the
    /// sentinel to the end only once.
    @Test("A sentinel that names a server that is not a master is asked last")
    func aSentinelThatNamesWhatIsNoMasterIsAskedLast() throws {
        var inquiry = SentinelInquiry(group)
        _ = inquiry.begin()
        #expect(inquiry.answered(try answer("*2 $2 n9 $4 7009")) == .found(.node(9)))
        inquiry.rejected(.node(8))
        for _ in 0..<3 { inquiry.rejected(.node(9)) }
        #expect(inquiry.begin() == .ask(.node(2)))
    }

    /// The master may still run while all sentinels are down. The server itself says whether it is
    /// a master.
    @Test("The last known master is tried when no sentinel replies")
    func theLastKnownMasterIsTriedWhereNoSentinelAnswers() throws {
        var inquiry = SentinelInquiry(group)
        func askInVain() -> SentinelInquiry.Action {
            guard case .ask = inquiry.begin() else { return .fail("it asks no sentinel") }
            for _ in 0..<2 { _ = inquiry.answered(silent) }
            return inquiry.answered(silent)
        }
        _ = inquiry.begin()
        #expect(inquiry.answered(try answer("*2 $2 n9 $4 7009")) == .found(.node(9)))
        for _ in 0..<2 { #expect(askInVain() == .found(.node(9))) }
        // A report about another sentinel does not affect this one.
        inquiry.rejected(.node(8))
        #expect(askInVain() == .found(.node(9)))
        inquiry.rejected(.node(9))
        guard case .fail = askInVain() else { throw Unexpected(description: "it is no master, and is not tried again") }
    }

    @Test("A notice of a moved master is read")
    func readsThatTheMasterHasMoved() {
        let news = SwitchMaster("m 10.0.0.1 6379 ::1 6380")
        #expect(news?.masterName == "m" && news?.address == .tcp(host: "::1", port: 6380))
        for bad in ["", "m", "m a 1 b", "m a 1 b x", "m a 1 b 0", "m a 1 b 65536", "m a 1 b 2 3"] { #expect(SwitchMaster(bad) == nil) }
    }
}
