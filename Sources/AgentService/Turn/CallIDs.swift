import NIOCore
import SessionStore

/// Call ids: whether a history has one already, and fresh ones.
enum CallIDs {
    /// Whether a call with this id was answered in the history. Every call of an earlier step has been, so this finds all of them.
    static func isUsed(_ id: String, in history: [ByteBuffer]) -> Bool {
        var field = ByteBuffer(string: #""tool_call_id":"#)
        field.writeJSONString(id)
        let needle = Array(field.readableBytesView)
        let isFound = history.contains { message in
            message.readableBytes > needle.count && message.withUnsafeReadableBytes { $0.contains(needle) }
        }
        if isFound || id.utf8.allSatisfy({ (0x20..<0x7F).contains($0) && $0 != UInt8(ascii: "/") }) { return isFound }
        // The script that closes calls, and Redis's JSON library, escape other characters than this program does.
        return history.contains { message in
            message.readableBytesView.starts(with: #"{"role":"tool""#.utf8)
                && (try? JSONSlice(parsing: message))?["tool_call_id"]?.string == id
        }
    }

    static func make() -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789".utf8)
        return "call_"
            + String(unsafeUninitializedCapacity: 24) { bytes in
                for index in 0..<24 { bytes[index] = alphabet.randomElement() ?? UInt8(ascii: "0") }
                return 24
            }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether `needle` stands anywhere within; most positions are ruled out by its first byte.
    fileprivate func contains(_ needle: [UInt8]) -> Bool {
        guard let first = needle.first, count >= needle.count else { return false }
        var start = startIndex
        let last = endIndex - needle.count
        while start <= last, let found = self[start...last].firstIndex(of: first) {
            if self[found..<found + needle.count].elementsEqual(needle) { return true }
            start = found + 1
        }
        return false
    }
}
