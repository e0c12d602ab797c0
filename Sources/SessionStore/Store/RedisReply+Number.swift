import RedisClient

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
