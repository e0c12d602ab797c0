import TestSupport
import Testing

@testable import LanguageModels

/// Tests status lines that no server should send.
@Suite("Odd status lines")
struct OddStatusTests {
    static let whole = HTTPLanguageModelFailureTests.whole
    static let expected: [LLMEvent] = [.textDelta("so far"), .finish(.stop)]

    static func answer(_ status: String) -> RawUpstream.Step {
        .bytes("HTTP/1.1 \(status) Odd\r\nContent-Type: text/event-stream\r\nContent-Length: 2\r\n\r\nhi")
    }

    @Test("An odd status is an invalid response", arguments: ["000", "001", "099", "100", "101", "199", "600", "999"])
    func anOddStatusIsAnInvalidResponse(status: String)
        async throws
    {
        for place in [0, 1] {
            let upstream = try await RawUpstream.start {
                $0.connection == 0 && $0.place == place ? [Self.answer(status)] : RawUpstream.answer(Self.whole)
            }
            defer { upstream.stop() }
            try await withModel(upstream.url) { model in
                if place == 1 { #expect(try await model.collect().events == Self.expected) }
                let odd = try await model.collect()
                #expect(odd.error == .invalidResponse, "\(odd.message)")
                #expect(odd.events == [])
                // The client does not reuse the connection, and the next connection works.
                try await eventually("the connection is closed") { upstream.openConnections == 0 }
                #expect(try await model.collect().events == Self.expected)
            }
            #expect(upstream.requests.map { [$0.connection, $0.place] } == (place == 0 ? [] : [[0, 0]]) + [[0, place], [1, 0]])
        }
    }

    /// The body, the trailers and the end of the connection may each arrive in a separate segment.
    @Test(
        "An odd status is an invalid response in any segmentation",
        arguments: [
            ["HTTP/1.1 000\r\n\r\n", "to the end"],
            ["HTTP/1.1 099 Odd\r\nTransfer-Encoding: chunked\r\n\r\n", "2\r\nhi\r\n", "0\r\nX: y\r\n\r\n"],
            ["HTTP/1.0 042 Odd\r\n\r\n"], ["HTTP/1.1 101 Odd\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n", "PRI * HTTP/2.0\r\n\r\n"],
            ["HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 000 Odd\r\nContent-Length: 0\r\n\r\n"],
        ]
    )
    func howeverItComes(segments: [String]) async throws {
        let upstream = try await RawUpstream.start { _ in segments.map(RawUpstream.Step.bytes) + [.close] }
        defer { upstream.stop() }
        let decoded = try await withModel(upstream.url) { try await $0.collect() }
        #expect(decoded.error == .invalidResponse, "\(decoded.message)")
        #expect(decoded.events == [])
        #expect(upstream.requests.count == 1)
    }

    @Test("An informational status is skipped", arguments: [100, 102, 103, 199])
    func anInformationalStatusIsPassedOver(status: Int) async throws {
        let upstream = try await RawUpstream.start { _ in
            [.bytes("HTTP/1.1 \(status) Soon\r\nX: y\r\n\r\n"), .bytes("HTTP/1.1 \(status) Soon\r\n\r\n")] + RawUpstream.answer(Self.whole)
        }
        defer { upstream.stop() }
        try await withModel(upstream.url) { model in
            for _ in 0..<2 {
                let decoded = try await model.collect()
                #expect(decoded.events == Self.expected)
            }
        }
        #expect(upstream.connections == 1)
    }

    /// Only if a connection has already carried a response may it have closed at the moment of its
    /// reuse.
    @Test("A connection lost after an informational status is not retried")
    func aLossAfterAnInformationalStatusIsNotRepeated() async throws {
        let upstream = try await RawUpstream.start { _ in [.bytes("HTTP/1.1 100 Continue\r\n\r\n"), .close] }
        defer { upstream.stop() }
        let decoded = try await withModel(upstream.url) { try await $0.collect() }
        #expect(decoded.error == .unavailable)
        #expect(upstream.requests.count == 1)
    }
}
