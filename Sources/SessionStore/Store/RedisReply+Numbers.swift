extension RedisReply {
    /// Sessions have no whole numbers beyond this: neither Lua nor a JSON reader keeps them, and sums of
    /// smaller ones cannot overflow.
    static let numbers: ClosedRange<Int64> = -(1 << 53)...(1 << 53)

    /// An integer, whether Redis sent it as one or as text.
    var integerValue: Int64? { integer ?? string.flatMap { Int64($0) }.flatMap { Self.numbers.contains($0) ? $0 : nil } }

    var intValue: Int? { integerValue.flatMap { Int(exactly: $0) } }
}

extension RedisReply? {
    /// The number in a field of a session's state, 0 where there is none yet.
    ///
    /// - Throws: ``StoreError/Code/damaged`` where the field holds something else: it was written
    ///   by hand.
    func number(in field: String) throws(StoreError) -> Int64 {
        guard let self, !self.isNull, self.string != "" else { return 0 }
        guard let number = self.integerValue else { throw StoreError(.damaged, "the field \(field) holds no number") }
        return number
    }
}

extension RedisReply {
    /// The answer to `TIME` in milliseconds: a number like any other, and none before 1970.
    var time: Int64? {
        // Numbers that are read have room for the product.
        guard let seconds = self[0]?.integerValue, let microseconds = self[1]?.integerValue else { return nil }
        let time = seconds * 1000 + microseconds / 1000
        return time >= 0 && Self.numbers.contains(time) ? time : nil
    }
}
