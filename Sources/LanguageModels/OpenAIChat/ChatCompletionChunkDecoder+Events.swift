import JSONText
import NIOCore

/// The data of a stream's events: chunks, words, errors, and several of them in one event.
extension ChatCompletionChunkDecoder {
    /// Decodes the data of an event.
    ///
    /// - Returns: Whether it is the end mark.
    mutating func decode(_ event: SSEEvent, into events: inout [LLMEvent]) throws(LLMError) -> Bool {
        guard event.data.getInteger(at: event.data.readerIndex, as: UInt8.self) == UInt8(ascii: "{") else {
            return try decodeWord(event, into: &events)
        }
        let isDone = try decodeJSON(event.data, into: &events)
        if event.name == "error" { throw ErrorBody.streamError(event.data) }
        return isDone
    }

    /// Decodes data that does not begin as an object does: a word, or an object behind blanks.
    private mutating func decodeWord(_ event: SSEEvent, into events: inout [LLMEvent]) throws(LLMError) -> Bool {
        if event.name == "error" { throw ErrorBody.streamError(event.data) }
        let data = Self.withoutSecondName(event.data)
        switch StreamWord(data) {
        case .done: return true
        case .heartbeat: return false
        case nil: break
        }
        if StreamWord.isHeartbeat(event: event.name) { return false }
        return try decodeJSON(data, into: &events)
    }

    /// Decodes a chunk. Data that is not JSON may be several chunks, a line each, or hold an error
    /// that a server could not put elsewhere.
    ///
    /// - Returns: Whether the end mark is among it.
    private mutating func decodeJSON(_ data: ByteBuffer, into events: inout [LLMEvent]) throws(LLMError) -> Bool {
        do throws(LLMError) {
            try decode(data, into: &events)
            return false
        } catch {
            guard !Self.isJSON(data) else { throw error }
            return try decodeLines(of: data, problem: error, into: &events)
        }
    }

    private mutating func decodeLines(
        of data: ByteBuffer, problem: LLMError, into events: inout [LLMEvent]
    ) throws(LLMError) -> Bool {
        var rest = data
        while rest.readableBytes > 0 {
            let remainder = rest
            let line = rest.readLine()
            guard line.readableBytes < data.readableBytes else { throw ErrorBody.streamError(within: data) ?? problem }
            do throws(LLMError) {
                if try decode(SSEEvent(name: "message", data: line), into: &events) { return true }
            } catch {
                guard !Self.isJSON(line) else { throw error }
                throw ErrorBody.streamError(within: remainder) ?? error
            }
        }
        return false
    }

    /// Returns whether `data` is one JSON value of any form.
    static func isJSON(_ data: ByteBuffer) -> Bool { (try? JSONSlice(parsing: data, allowsBrokenText: true)) != nil }

    /// Returns `data` without the field's name, which a proxy may have written twice.
    private static func withoutSecondName(_ data: ByteBuffer) -> ByteBuffer {
        let name = "data:"
        guard data.readableBytesView.starts(with: name.utf8) else { return data }
        return data.getSlice(at: data.readerIndex + name.utf8.count, length: data.readableBytes - name.utf8.count) ?? data
    }
}

extension ByteBuffer {
    /// Takes the bytes up to a line feed, and the line feed; all that are left if there is none.
    fileprivate mutating func readLine() -> ByteBuffer {
        let view = readableBytesView
        let end = view.firstIndex(of: UInt8(ascii: "\n"))
        let line = readSlice(length: (end ?? view.endIndex) - view.startIndex) ?? ByteBuffer()
        if end != nil { moveReaderIndex(forwardBy: 1) }
        return line
    }
}
