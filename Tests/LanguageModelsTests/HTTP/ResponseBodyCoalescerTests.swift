import NIOCore
import NIOEmbedded
import NIOHTTP1
import Testing

@testable import LanguageModels

@Suite("Joining parts of a response")
struct ResponseBodyCoalescerTests {
    private static let head = HTTPClientResponsePart.head(HTTPResponseHead(version: .http1_1, status: .ok))

    private static func body(_ text: String) -> HTTPClientResponsePart { .body(ByteBuffer(string: text)) }

    private static func joiningChannel() throws -> (channel: EmbeddedChannel, current: NIOLoopBoundBox<ResponseBodyCoalescer?>) {
        let channel = EmbeddedChannel()
        let current = NIOLoopBoundBox<ResponseBodyCoalescer?>(nil, eventLoop: channel.eventLoop)
        try channel.pipeline.syncOperations.addHandler(ResponseBodyCoalescer(current: current))
        return (channel, current)
    }

    /// Passes a part from the decoder. A head is the response to a request that was sent before.
    private static func read(_ part: HTTPClientResponsePart, on channel: EmbeddedChannel) {
        if case .head = part {
            channel.pipeline.write(HTTPClientRequestPart.head(HTTPRequestHead(version: .http1_1, method: .POST, uri: "/")), promise: nil)
        }
        channel.pipeline.fireChannelRead(part)
    }

    /// Returns the output after each read from the socket.
    private static func joined(_ reads: [HTTPClientResponsePart]...) throws -> [[HTTPClientResponsePart]] {
        let (channel, _) = try joiningChannel()
        defer { _ = try? channel.finish() }
        return try reads.map { parts in
            for part in parts { read(part, on: channel) }
            channel.pipeline.fireChannelReadComplete()
            var out: [HTTPClientResponsePart] = []
            while let part = try channel.readInbound(as: HTTPClientResponsePart.self) { out.append(part) }
            return out
        }
    }

    @Test("Parts of one read become one")
    func partsOfOneReadAreOne() throws {
        let out = try Self.joined(
            [Self.head, Self.body("a"), Self.body("b"), Self.body("c")], [Self.body("d")], [Self.body("e"), .end(nil)])
        #expect(out == [[Self.head, Self.body("abc")], [Self.body("d")], [Self.body("e"), .end(nil)]])
    }

    @Test("Parts keep their order")
    func nothingIsHandedOnBeforeWhatCameBefore() throws {
        let out = try Self.joined([Self.head], [Self.body("a"), Self.body("b"), .end(nil), Self.head, Self.body("c")])
        #expect(out == [[Self.head], [Self.body("ab"), .end(nil), Self.head, Self.body("c")]])
    }

    /// If a response is truncated, the handler passes on the bytes that have arrived.
    @Test("Bytes read before the connection ends are delivered")
    func whatWasReadGoesOnBeforeTheConnectionEnds() throws {
        let (channel, _) = try Self.joiningChannel()
        Self.read(Self.head, on: channel)
        #expect(try channel.readInbound(as: HTTPClientResponsePart.self) == Self.head)
        channel.pipeline.fireChannelRead(Self.body("last"))
        channel.pipeline.fireErrorCaught(HTTPParserError.invalidEOFState)
        #expect(try channel.readInbound(as: HTTPClientResponsePart.self) == Self.body("last"))
        #expect(throws: HTTPParserError.self) { try channel.throwIfErrorCaught() }
        channel.pipeline.fireChannelRead(Self.body("end"))
        channel.pipeline.fireChannelInactive()
        #expect(try channel.readInbound(as: HTTPClientResponsePart.self) == Self.body("end"))
    }

    private final class Receiver: BodyReceiver {
        var parts: [String] = []
        func receiveBody(_ bytes: ByteBuffer) { parts.append(String(buffer: bytes)) }
    }

    /// Acts as the HTTP client: if `receiver` is set, it asks for the body while a head is
    /// delivered.
    private final class Claim: ChannelInboundHandler {
        typealias InboundIn = HTTPClientResponsePart
        let current: NIOLoopBoundBox<ResponseBodyCoalescer?>
        var receiver: Receiver?

        init(_ current: NIOLoopBoundBox<ResponseBodyCoalescer?>) { self.current = current }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            if case .head = unwrapInboundIn(data) { current.value?.receiver = receiver } else { #expect(current.value == nil) }
            context.fireChannelRead(data)
        }
    }

    @Test("A receiver gets the body of its own response")
    func aReceiverGetsTheBodyOfItsResponse() throws {
        let (channel, current) = try Self.joiningChannel()
        let claim = Claim(current)
        try channel.pipeline.syncOperations.addHandler(claim)
        defer { _ = try? channel.finish() }
        let (one, two) = (Receiver(), Receiver())
        func read(_ parts: HTTPClientResponsePart...) throws -> [HTTPClientResponsePart] {
            for part in parts { Self.read(part, on: channel) }
            channel.pipeline.fireChannelReadComplete()
            #expect(current.value == nil)
            var out: [HTTPClientResponsePart] = []
            while let part = try channel.readInbound(as: HTTPClientResponsePart.self) { out.append(part) }
            return out
        }
        claim.receiver = one
        #expect(try read(Self.head, Self.body("a"), Self.body("b")) == [Self.head])
        #expect(try read(Self.body("c")) == [])
        #expect(try read(.end(nil)) == [.end(nil)])
        claim.receiver = two
        // Bytes that arrive with the end keep their order. After them, the HTTP client's connection
        // is free.
        #expect(try read(Self.head, Self.body("d"), .end(nil)) == [Self.head, Self.body("d"), .end(nil)])
        #expect(try read(Self.head, Self.body("g")) == [Self.head])
        #expect(try read(Self.body("h"), Self.body("i"), .end(nil)) == [Self.body("hi"), .end(nil)])
        // No receiver asks for the body, so that the HTTP client gets it.
        claim.receiver = nil
        #expect(try read(Self.head, Self.body("e"), .end(nil)) == [Self.head, Self.body("e"), .end(nil)])
        claim.receiver = one
        #expect(try read(Self.head, Self.body("f")) == [Self.head])
        channel.pipeline.fireChannelRead(Self.body("cut off"))
        channel.pipeline.fireChannelInactive()
        #expect(one.parts == ["ab", "c", "f", "cut off"])
        #expect(two.parts == ["g"])
    }

    /// A reused connection does not hold the receivers of finished responses.
    @Test("A receiver is released when its response has ended")
    func aReceiverIsLetGo() throws {
        let (channel, current) = try Self.joiningChannel()
        let claim = Claim(current)
        try channel.pipeline.syncOperations.addHandler(claim)
        defer { _ = try? channel.finish() }
        for last in [HTTPClientResponsePart.end(nil), nil] {
            weak var receiver: Receiver?
            do {
                let strong = Receiver()
                receiver = strong
                claim.receiver = strong
                Self.read(Self.head, on: channel)
                claim.receiver = nil
            }
            #expect(receiver != nil)
            if let last { channel.pipeline.fireChannelRead(last) } else { channel.pipeline.fireChannelInactive() }
            #expect(receiver == nil)
        }
    }

    // MARK: Refusals of the gate

    private static func head(_ code: UInt) -> HTTPClientResponsePart {
        .head(HTTPResponseHead(version: .http1_1, status: .init(statusCode: Int(code))))
    }

    /// The HTTP client learns that its connection has failed, and gets no bytes after that.
    @Test("A refused status ends the connection", arguments: [0, 1, 99, 101, 600, 999] as [UInt])
    func whatIsRefusedEndsTheConnection(code: UInt) throws {
        let (channel, current) = try Self.joiningChannel()
        let claim = Claim(current)
        try channel.pipeline.syncOperations.addHandler(claim)
        try channel.connect(to: SocketAddress(unixDomainSocketPath: "/model")).wait()
        let receiver = Receiver()
        claim.receiver = receiver
        for part in [Self.head, Self.body("a"), .end(nil)] { Self.read(part, on: channel) }
        for _ in 0..<3 { #expect(try channel.readInbound(as: HTTPClientResponsePart.self) != nil) }
        Self.read(Self.head(code), on: channel)
        #expect { try channel.throwIfErrorCaught() } throws: {
            ($0 as? LLMError)?.code == .invalidResponse && ($0 as? LLMError)?.status == Int(code)
        }
        #expect(!channel.isActive)
        for part in [Self.body("b"), .end(nil), Self.head, Self.body("c")] { Self.read(part, on: channel) }
        channel.pipeline.fireChannelReadComplete()
        #expect(try channel.readInbound(as: HTTPClientResponsePart.self) == nil)
        #expect(receiver.parts == [])
    }

    /// An informational response does not count as a response.
    @Test("An informational head does not mark a connection as kept")
    func anInformationalHeadDoesNotMakeAConnectionKept() throws {
        let (channel, _) = try Self.joiningChannel()
        defer { _ = try? channel.finish() }
        let joiner = try channel.pipeline.syncOperations.handler(type: ResponseBodyCoalescer.self)
        for code in [100, 102, 199] as [UInt] { Self.read(Self.head(code), on: channel) }
        #expect(try channel.readInbound(as: HTTPClientResponsePart.self) == nil)
        #expect(!joiner.isKept)
        Self.read(Self.head, on: channel)
        #expect(joiner.isKept)
    }
}
