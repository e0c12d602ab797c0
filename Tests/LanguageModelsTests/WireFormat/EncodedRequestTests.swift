import NIOCore
import Testing

@testable import LanguageModels

@Suite("Changes to a refused request")
struct EncodedRequestTests {
    private static let first = Concessions(rawValue: 1)
    private static let second = Concessions(rawValue: 2)

    private func request() -> EncodedRequest {
        EncodedRequest(
            ByteBuffer(string: "a[b]c[d]"),
            edits: [
                .init(concession: Self.first, range: 1..<1, replacement: ByteBuffer(string: "++")),
                .init(concession: Self.second, range: 2..<3, replacement: ByteBuffer()),
                .init(concession: Self.first, range: 5..<8, replacement: ByteBuffer(string: "()")),
            ])
    }

    @Test("Each concession makes all of its edits and leaves those of the others possible")
    func edits() {
        let cases: [(Concessions, String, Concessions)] = [
            ([], "a[b]c[d]", [Self.first, Self.second]), (Self.first, "a++[b]c()", Self.second), (Self.second, "a[]c[d]", Self.first),
            ([Self.first, Self.second], "a++[]c()", []),
        ]
        for (concessions, text, rest) in cases {
            let conceded = request().conceding(concessions)
            #expect(String(buffer: conceded.bytes) == text)
            #expect(conceded.concessions == rest)
            #expect(String(buffer: conceded.conceding([Self.first, Self.second]).bytes) == "a++[]c()")
        }
    }

    @Test("A body without edits stays what it is")
    func plain() {
        let plain = EncodedRequest(ByteBuffer(string: "body"))
        #expect(plain.concessions.isEmpty && plain.conceding(Self.first).bytes == plain.bytes)
    }
}
