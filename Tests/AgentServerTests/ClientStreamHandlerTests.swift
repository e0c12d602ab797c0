import HTTPTypes
import Locks
import NIOCore
import NIOEmbedded
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1
import TestSupport
import Testing

@testable import AgentService
@testable import agent_server

@Suite("Writing a stream to a connection")
struct ClientStreamHandlerTests {
    /// A connection on which the response's head is already written.
    private struct Connection {
        let channel = EmbeddedChannel()
        let stream: ClientStream
        private let told = Told()

        private final class Told: Sendable {
            let result = Guarded<Result<Void, any Error>?>(nil)
        }

        init(_ stream: ClientStream = ClientStream()) throws {
            self.stream = stream
            try ClientStreamHandlerTests.addHandlers(to: channel)
            try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
            try beginResponse()
            Self.deliver(stream, over: channel).whenComplete { [told] result in told.result.withLock { $0 = result } }
        }

        static func deliver(_ stream: ClientStream, over channel: EmbeddedChannel) -> EventLoopFuture<Void> {
            let promise = channel.eventLoop.makePromise(of: Void.self)
            channel.triggerUserOutboundEvent(ClientStreamHandler.Delivery(stream: stream), promise: promise)
            return promise.futureResult
        }

        func beginResponse() throws {
            try channel.writeOutbound(HTTPResponsePart.head(HTTPResponse(status: .ok)))
            let head = try channel.readOutbound(as: IOData.self)
            guard case .byteBuffer(let bytes) = head, String(buffer: bytes).contains("chunked") else { throw Unexpected(head: head) }
        }

        func endResponse() throws { try channel.writeOutbound(HTTPResponsePart.end(nil)) }

        /// Returns the writes since the last call: a chunk's bytes, or `end`.
        func written() throws -> [String] {
            channel.embeddedEventLoop.run()
            var parts: [String] = []
            while case .byteBuffer(let bytes)? = try channel.readOutbound(as: IOData.self) {
                parts.append(try ClientStreamHandlerTests.unframed(bytes))
            }
            return parts
        }

        func setWritable(_ isWritable: Bool) {
            channel.isWritable = isWritable
            channel.pipeline.fireChannelWritabilityChanged()
        }

        func say(_ text: String) { stream.write { $0.writeString(text) } }

        /// The outcome of the delivery; nil until the handler reports it.
        func outcome() -> Result<Void, any Error>? {
            channel.embeddedEventLoop.run()
            return told.result.withLock { $0 }
        }
    }

    private struct Unexpected: Error { var head: IOData? }

    /// The handlers in the order of a connection's pipeline.
    private static func addHandlers(to channel: any Channel) throws {
        let pipeline = channel.pipeline.syncOperations
        try pipeline.addHandlers([HTTPResponseEncoder(), HTTP1ToHTTPServerCodec(secure: false), ClientStreamHandler()])
    }

    /// Returns the bytes of exactly one chunk.
    private static func unframed(_ chunk: ByteBuffer) throws -> String {
        let text = String(buffer: chunk)
        if text == "0\r\n\r\n" { return "end" }
        let size = try #require(text.firstRange(of: "\r\n"))
        let data = text[size.upperBound...].utf8.dropLast(2)
        try #require(Int(text[..<size.lowerBound], radix: 16) == data.count && text.hasSuffix("\r\n"))
        return String(decoding: data, as: UTF8.self)
    }

    @Test("The handler sends written bytes at once")
    func whatIsWrittenGoesOutAtOnce() throws {
        let stream = ClientStream()
        stream.write { $0.writeString("before ") }
        stream.write { $0.writeString("the head") }
        let connection = try Connection(stream)
        #expect(try connection.written() == ["before the head"])
        connection.say("a")
        connection.say("b")
        #expect(try connection.written() == ["a", "b"])
        #expect(connection.outcome() == nil)
        stream.finish()
        #expect(throws: Never.self) { try connection.outcome()?.get() }
        #expect(connection.outcome() != nil && stream.isOpen)
    }

    @Test("Bytes wait in the stream while the connection is not writable")
    func whatTheConnectionDoesNotTakeWaitsInTheStream() throws {
        let connection = try Connection()
        connection.setWritable(false)
        connection.say("a")
        connection.say("b")
        connection.stream.finish()
        #expect(try connection.written() == [])
        #expect(connection.outcome() == nil)
        connection.setWritable(true)
        #expect(throws: Never.self) { try connection.outcome()?.get() }
        #expect(connection.outcome() != nil)
        // The handler writes the last bytes and the response's end in one write.
        #expect(try connection.written() == [])
        try connection.endResponse()
        #expect(try connection.written() == ["ab", "end"])
    }

    /// Until the connection has accepted the bytes before the end, the server may still disconnect
    /// the client.
    @Test("The end is reported only after the connection has taken all bytes")
    func theEndIsToldWhenTheConnectionHasTakenAll() throws {
        let connection = try Connection()
        connection.setWritable(false)
        connection.stream.finish()
        #expect(connection.outcome() == nil)
        connection.stream.close()
        #expect(throws: ClientStreamHandler.ClientLeft.self) { try connection.outcome()?.get() }
    }

    enum Leaving: CaseIterable { case closed, halfClosed, cutOff, removed }

    @Test("A client that disconnects does not count as the end of the stream", arguments: Leaving.allCases)
    func aClientThatLeavesIsNoEnd(leaving: Leaving) throws {
        let connection = try Connection(ClientStream(limit: 1))
        connection.say("some")
        switch leaving {
        case .closed: connection.channel.close(promise: nil)
        case .halfClosed: connection.channel.pipeline.fireUserInboundEventTriggered(ChannelEvent.inputClosed)
        case .cutOff:
            connection.setWritable(false)
            for _ in 0..<3 { connection.say("more") }
        case .removed:
            let handler = try connection.channel.pipeline.syncOperations.handler(type: ClientStreamHandler.self)
            try connection.channel.pipeline.syncOperations.removeHandler(handler).wait()
        }
        #expect(!connection.stream.isOpen)
        #expect(throws: ClientStreamHandler.ClientLeft.self) { try connection.outcome()?.get() }
        connection.say("late")
        #expect(try connection.written() == ["some"])
    }

    @Test("A client that left before the response gets no bytes")
    func whoHasLeftBeforeTheAnswerIsToldNothing() throws {
        let connection = try Connection()
        connection.stream.finish()
        #expect(connection.outcome() != nil)
        connection.channel.close(promise: nil)
        connection.channel.embeddedEventLoop.run()
        let late = ClientStream()
        #expect(throws: (any Error).self) { try Connection.deliver(late, over: connection.channel).wait() }
    }

    /// The connection remains open between two responses.
    @Test("Late bytes of one response never enter the next response on the same connection")
    func answersOnOneConnectionDoNotMix() throws {
        let connection = try Connection()
        connection.say("one")
        connection.stream.finish()
        #expect(connection.outcome() != nil)
        try connection.endResponse()
        #expect(try connection.written() == ["one", "end"])
        try connection.beginResponse()
        let next = ClientStream()
        let delivered = Connection.deliver(next, over: connection.channel)
        connection.say("late")
        connection.stream.close()
        next.write { $0.writeString("two") }
        next.finish()
        #expect(try connection.written() == ["two"])
        #expect(throws: Never.self) { try delivered.wait() }
    }

    @Test("Bytes from many threads arrive in order and once")
    func manyWritersAreWrittenOut() async throws {
        let channel = NIOAsyncTestingChannel()
        try await channel.testingEventLoop.executeInContext { try Self.addHandlers(to: channel) }
        try await channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).get()
        let stream = ClientStream(limit: .max)
        let promise = channel.eventLoop.makePromise(of: Void.self)
        channel.triggerUserOutboundEvent(ClientStreamHandler.Delivery(stream: stream), promise: promise)
        let (writers, each) = (4, 500)
        await withTaskGroup(of: Void.self) { group in
            for writer in 0..<writers {
                group.addTask {
                    for number in 0..<each { stream.write { $0.writeString("\(writer) \(number)\n") } }
                }
            }
            group.addTask { for _ in 0..<100 { await channel.testingEventLoop.run() } }
        }
        stream.finish()
        await channel.testingEventLoop.run()
        try await promise.futureResult.get()
        var text = ""
        while case .byteBuffer(let bytes)? = try await channel.readOutbound(as: IOData.self) { text += try Self.unframed(bytes) }
        var next = [Int](repeating: 0, count: writers)
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: " ").compactMap { Int($0) }
            try #require(parts.count == 2)
            #expect(parts[1] == next[parts[0]])
            next[parts[0]] = parts[1] + 1
        }
        #expect(next == [Int](repeating: each, count: writers))
    }
}
