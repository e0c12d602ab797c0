import CHiredis
import NIOCore

extension RedisCommand {
    /// Appends the command in RESP to `output`. hiredis formats it, and the text is copied once.
    ///
    /// - Returns: False if hiredis cannot allocate memory.
    func encode(into output: inout ByteBuffer) -> Bool {
        bytes.withUnsafeReadableBytes { raw in
            withUnsafeTemporaryAllocation(of: UnsafePointer<CChar>?.self, capacity: lengths.count) { pointers in
                // An empty buffer may have no address. hiredis copies nothing from an argument of
                // length 0.
                var place = raw.baseAddress?.assumingMemoryBound(to: CChar.self)
                for (index, length) in lengths.enumerated() {
                    pointers.initializeElement(at: index, to: place)
                    place = place?.advanced(by: length)
                }
                var formatted: UnsafeMutablePointer<CChar>?
                let count = Int(redisFormatCommandArgv(&formatted, .init(lengths.count), pointers.baseAddress, lengths))
                guard count >= 0, let formatted else { return false }
                output.writeBytes(UnsafeRawBufferPointer(start: formatted, count: count))
                redisFreeCommand(formatted)
                return true
            }
        }
    }
}
