import Testing

@testable import LanguageModels

/// The provider passes on the header of W3C Trace Context, section 3.2, to the model's server.
@Suite("W3C trace context")
struct TraceParentTests {
    private static let trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    private static let span = "00f067aa0ba902b7"
    private static let zeros = String(repeating: "0", count: 32)

    @Test("A valid traceparent is accepted", arguments: ["00-\(trace)-\(span)-01", "00-\(trace)-\(span)-00", "cc-\(trace)-\(span)-ff"])
    func whatIsValid(_ text: String) {
        #expect(TraceParent.isValid(text))
    }

    @Test(
        "An invalid traceparent is refused",
        arguments: [
            "", "00-aa-bb-01", "00-\(trace)-\(span)", "00-\(trace)-\(span)-01-", "00-\(trace)-\(span)-01-more", "ff-\(trace)-\(span)-01",
            "00-\(zeros)-\(span)-01", "00-\(trace)-0000000000000000-01", "00-\(trace.uppercased())-\(span)-01",
            "00-\(trace.dropLast())g-\(span)-01", "00_\(trace)_\(span)_01", "0-0\(trace)-\(span)-01", "00-\(trace)-\(span)-1",
            " 00-\(trace)-\(span)-01", "00-\(trace)-\(span)-01\r\n", "00-\(trace.dropLast())é-\(span)-01",
            String(repeating: "z", count: 20_000), String(repeating: "-", count: 55),
        ]
    )
    func whatIsNot(_ text: String) {
        #expect(!TraceParent.isValid(text))
    }
}
