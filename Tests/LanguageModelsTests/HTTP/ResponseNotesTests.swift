import NIOHTTP1
import Testing

@testable import LanguageModels

/// Servers use several headers for the retry time and for their id of the request.
@Suite("Retry time and request id of a response")
struct ResponseNotesTests {
    private static let date = "Sun, 06 Nov 1994 08:49:37 GMT"

    @Test(
        "The retry time is rounded up to whole seconds",
        arguments: [
            ([("Retry-After", "30")], 30), ([("retry-after", "0")], 0), ([("Retry-After", "1.2")], 2), ([("Retry-After-Ms", "1")], 1),
            ([("retry-after-ms", "1500"), ("retry-after", "9")], 2), ([("retry-after-ms", "soon"), ("retry-after", "9")], 9),
            ([("Retry-After", "Sun, 06 Nov 1994 08:50:40 GMT"), ("Date", date)], 63), ([("Retry-After", date), ("Date", date)], 0),
            ([("Retry-After", "Sunday, 06-Nov-94 08:49:38 GMT"), ("Date", date)], 1),
            ([("Retry-After", "Sun Nov  6 08:49:40 1994"), ("Date", date)], 3),
            // By this machine's clock, the date has passed.
            ([("Retry-After", date)], 0),
            ([("Retry-After", "-1")], nil), ([("Retry-After", "nan")], nil), ([("Retry-After", "inf")], nil),
            ([("Retry-After", "1e300")], nil),
            ([("Retry-After", "tomorrow")], nil), ([("Retry-After", "")], nil), ([], nil),
        ] as [([(String, String)], Int?)]
    )
    func theWaitIsWholeSecondsRoundedUp(headers: [(String, String)], wait: Int?) {
        #expect(ResponseNotes(HTTPHeaders(headers)).retryAfter == wait)
    }

    @Test("The request id is read from one of three headers")
    func theRequestsNameStandsInOneOfThreeHeaders() {
        #expect(ResponseNotes(HTTPHeaders([("cf-ray", "c"), ("request-id", "b"), ("X-Request-ID", "a")])).requestID == "a")
        #expect(ResponseNotes(HTTPHeaders([("cf-ray", "c"), ("request-id", "b")])).requestID == "b")
        #expect(ResponseNotes(HTTPHeaders([("cf-ray", "c"), ("request-id", "two words")])).requestID == "c")
        #expect(ResponseNotes(HTTPHeaders([("x-request-id", String(repeating: "x", count: 129))])).requestID == nil)
    }

    @Test(
        "HTTP dates become seconds since 1970",
        arguments: [
            ("Thu, 01 Jan 1970 00:00:00 GMT", 0), (date, 784_111_777), ("Thu, 29 Feb 2024 23:59:59 GMT", 1_709_251_199),
            ("Fri, 01 Mar 2024 00:00:00 GMT", 1_709_251_200), ("Mon, 01 Mar 2100 00:00:00 GMT", 4_107_542_400),
            ("Thu, 26 Nov 2026 10:00:00 GMT", 1_795_687_200), ("Tue Feb 29 00:00:01 2000", 951_782_401),
        ]
    )
    func datesAreSecondsSince1970(text: String, seconds: Int) {
        #expect(HTTPDate.seconds(text) == seconds)
    }

    @Test(
        "A string that is not a date yields none",
        arguments: [
            "", "now", "Sun, 06 Nov 1994", "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 24:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Nov 99999999999999999999 08:49:37 GMT", "a b c d e f g", "1 2 3 4 5 6 7 gmt",
        ]
    )
    func whatIsNoDateIsNone(text: String) {
        #expect(HTTPDate.seconds(text) == nil)
    }
}
