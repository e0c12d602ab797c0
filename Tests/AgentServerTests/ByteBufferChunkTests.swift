import NIOCore
import Testing

@testable import agent_server

@Suite("Chunks of a chunked response")
struct ByteBufferChunkTests {
    @Test("A chunk has its size before it and a line break after it", arguments: [1, 2, 15, 16, 255, 256, 70_000], [0, 3, 4, 16])
    func aChunkHasItsSizeBeforeAndALineBreakBehind(size: Int, room: Int) {
        let data = String(repeating: "é", count: size / 2) + String(repeating: "x", count: size % 2)
        var buffer = ByteBuffer(string: String(repeating: "r", count: room) + data)
        buffer.moveReaderIndex(forwardBy: room)
        let before = buffer
        buffer.frameAsChunk()
        #expect(String(buffer: buffer) == "\(String(size, radix: 16))\r\n\(data)\r\n")
        // A second owner of the same bytes still sees them unchanged.
        #expect(String(buffer: before) == data)
    }

    @Test("An empty buffer writes no chunk")
    func noBytesAreNoChunk() {
        var buffer = ByteBuffer()
        buffer.frameAsChunk()
        #expect(buffer.readableBytes == 0)
    }
}
