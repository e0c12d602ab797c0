extension RedisReply {
    /// The integers that are read from Redis: Lua and most JSON readers represent no larger ones
    /// exactly, and a sum of two of them cannot overflow.
    package static let numbers: ClosedRange<Int64> = -(1 << 53)...(1 << 53)

    /// The integer, whether Redis sent it as an integer or as text.
    package var integerValue: Int64? { integer ?? string.flatMap { Int64($0) }.flatMap { Self.numbers.contains($0) ? $0 : nil } }

    /// The same as an `Int`.
    package var intValue: Int? { integerValue.flatMap { Int(exactly: $0) } }
}

extension RedisReply {
    /// A reply to `TIME` in milliseconds since 1970; nil if it is negative or out of range.
    package var time: Int64? {
        // Both are at most 2^53 in magnitude, but their product with 1000 fits into 64 bits.
        guard let seconds = self[0]?.integerValue, let microseconds = self[1]?.integerValue else { return nil }
        let time = seconds * 1000 + microseconds / 1000
        return time >= 0 && Self.numbers.contains(time) ? time : nil
    }
}
