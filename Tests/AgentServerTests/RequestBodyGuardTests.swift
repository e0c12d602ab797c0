import HTTPTypes
import NIOCore
import NIOEmbedded
import NIOHTTPTypes
import Testing

@testable import agent_server

@Suite("Time limits on request bodies")
struct RequestBodyGuardTests {
    private let channel: EmbeddedChannel
    private let head = HTTPRequest(method: .post, scheme: "http", authority: "h", path: "/")

    init() throws {
        channel = EmbeddedChannel(handler: RequestBodyGuard(bodyLimit: 100, patience: .seconds(30)))
        try channel.connect(to: SocketAddress(ipAddress: "127.0.0.1", port: 1)).wait()
    }

    private func send(_ part: HTTPRequestPart) throws {
        try channel.writeInbound(part)
    }

    /// A few bytes now and then end the silence, but the whole body still has a time limit.
    @Test("A body that trickles in ends its connection")
    func aBodyThatTricklesInEndsItsConnection() throws {
        try send(.head(head))
        for _ in 0..<29 {
            channel.embeddedEventLoop.advanceTime(by: .seconds(1))
            try send(.body(ByteBuffer(string: " ")))
        }
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: .seconds(1))
        #expect(!channel.isActive)
    }

    @Test("A body that has ended is no longer timed")
    func aBodyThatHasEndedIsNotTimed() throws {
        for _ in 0..<3 {
            try send(.head(head))
            channel.embeddedEventLoop.advanceTime(by: .seconds(29))
            try send(.end(nil))
            channel.embeddedEventLoop.advanceTime(by: .seconds(60))
        }
        #expect(channel.isActive)
        _ = try channel.finish()
    }

    @Test("A stopping server waits a second for an open body", arguments: [true, false])
    func aServerThatStopsWaitsASecondForABody(headFirst: Bool) throws {
        if headFirst { try send(.head(head)) }
        channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        if !headFirst { try send(.head(head)) }
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(900))
        #expect(channel.isActive)
        channel.embeddedEventLoop.advanceTime(by: .milliseconds(100))
        #expect(!channel.isActive)
    }

    /// The guard does not close a connection without an open body, because its response may be a
    /// long stream.
    @Test("A stopping server does not cut a response without an open body")
    func aServerThatStopsLeavesAnswersAlone() throws {
        try send(.head(head))
        try send(.end(nil))
        channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        channel.embeddedEventLoop.advanceTime(by: .seconds(60))
        #expect(channel.isActive)
        _ = try channel.finish()
    }

    private func statuses() throws -> [Int] {
        var statuses: [Int] = []
        while let part = try channel.readOutbound(as: HTTPResponsePart.self) {
            if case .head(let response) = part { statuses.append(response.status.code) }
        }
        return statuses
    }

    /// A head within the response to an earlier request would become a part of that response's
    /// body.
    @Test("100 Continue for a pipelined request follows the response before it")
    func aPipelinedBodyIsAskedForAfterTheAnswerBeforeIt() throws {
        var expecting = head
        expecting.headerFields[.expect] = "100-continue"
        try send(.head(head))
        try send(.end(nil))
        try channel.writeOutbound(HTTPResponsePart.head(HTTPResponse(status: .ok)))
        try send(.head(expecting))
        #expect(try statuses() == [200])
        try channel.writeOutbound(HTTPResponsePart.end(nil))
        #expect(try statuses() == [100])
        try send(.end(nil))
        // The response belongs to a whole request, so the connection remains open.
        try channel.writeOutbound(HTTPResponsePart.head(HTTPResponse(status: .ok)))
        try channel.writeOutbound(HTTPResponsePart.end(nil))
        try send(.head(expecting))
        #expect(try statuses() == [200, 100])
        #expect(channel.isActive)
        _ = try channel.finish()
    }

    /// A response is early only if it belongs to the request whose body is still open.
    @Test("The response to an earlier request does not count as an early response")
    func anEarlierAnswerIsNoEarlyAnswer() throws {
        try send(.head(head))
        try send(.end(nil))
        try send(.head(head))
        try channel.writeOutbound(HTTPResponsePart.head(HTTPResponse(status: .ok)))
        guard case .head(let response) = try channel.readOutbound(as: HTTPResponsePart.self) else {
            Issue.record("no head")
            return
        }
        #expect(response.headerFields[.connection] == nil)
        try channel.writeOutbound(HTTPResponsePart.end(nil))
        #expect(channel.isActive)
        _ = try channel.finish(acceptAlreadyClosed: true)
    }
}
