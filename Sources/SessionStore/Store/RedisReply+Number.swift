import RedisClient

extension RedisReply? {
    /// Returns the number in a field of a session's state; 0 if the field does not exist.
    ///
    /// - Throws: ``StoreError/Code/damaged`` if the field holds something else: a person has
    ///   written it.
    func number(in field: String) throws(StoreError) -> Int64 {
        guard let self, !self.isNull, self.string != "" else { return 0 }
        guard let number = self.integerValue else { throw StoreError(.damaged, "the field \(field) holds no number") }
        return number
    }
}
