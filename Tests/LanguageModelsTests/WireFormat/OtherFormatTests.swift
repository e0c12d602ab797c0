import NIOCore
import NIOHTTP1
import TestSupport
import Testing

@testable import LanguageModels

/// A second format, which only this test uses: a format needs no code outside of its folder.
private struct PlainTextFormat: WireFormat {
    static let politeness = Concessions(rawValue: 4)

    func url(base baseURL: String) -> String { "\(baseURL)/ask" }

    func headers(apiKey: String?) -> HTTPHeaders { HTTPHeaders(apiKey.map { [("x-plain-key", $0)] } ?? []) }

    func encode(_ request: LLMRequest, conceding concessions: Concessions) -> EncodedRequest {
        let question = ByteBuffer(string: "\(concessions.contains(Self.politeness) ? "please " : "")\(request.model)")
        guard !concessions.contains(Self.politeness) else { return EncodedRequest(question) }
        let edit = EncodedRequest.Edit(concession: Self.politeness, range: 0..<0, replacement: ByteBuffer(string: "please "))
        return EncodedRequest(question, edits: [edit])
    }

    func makeDecoder(limits: ResponseLimits) -> Decoder { Decoder() }

    struct Decoder: ResponseDecoder {
        private var isRefusal = false

        mutating func receiveHead(status: Int, contentType: String?) throws(LLMError) { isRefusal = status != 200 }

        mutating func receiveBody(_ part: ByteBuffer, into events: inout [LLMEvent]) throws(LLMError) -> ResponseProgress {
            if !isRefusal { events.append(.textDelta(String(buffer: part))) }
            return .more
        }

        mutating func receiveEnd(into events: inout [LLMEvent]) throws(LLMError) {
            if isRefusal {
                var error = LLMError(.rejected, "rude", status: 400)
                error.asksFor = PlainTextFormat.politeness
                throw error
            }
            events.append(.finish(.stop))
        }

        mutating func receiveLoss(into events: inout [LLMEvent]) -> Bool { false }
    }
}

@Suite("A second wire format")
struct OtherFormatTests {
    @Test("Any format has the same connections, clocks and concessions")
    func aFormatOfATest() async throws {
        let upstream = try await RawUpstream.start { request in
            guard request.text.contains("please") else { return [.bytes("HTTP/1.1 400 No\r\nContent-Length: 4\r\n\r\nrude")] }
            return [.bytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")]
        }
        defer { upstream.stop() }
        try await withModel(PlainTextFormat(), UpstreamConfiguration(baseURL: upstream.url, apiKey: "k")) { model in
            for _ in 0..<2 {
                let decoded = try await model.collect(LLMRequest(model: "who", messages: []))
                #expect(decoded.events == [.textDelta("hi"), .finish(.stop)])
            }
        }
        // The server refuses the first request. The model remembers the change for later requests.
        #expect(upstream.requests.map { $0.text.hasSuffix("please who") } == [false, true, true])
        #expect(upstream.requests.allSatisfy { $0.text.hasPrefix("POST /ask ") && $0.text.contains("x-plain-key: k\r\n") })
    }
}
