import RedisClient

extension RedisScriptCall {
    /// Makes a call on keys of a session.
    ///
    /// - Parameter names: The keys without their prefix; almost every script wants all of them.
    init(_ script: RedisScript, keys: RedisKeys, _ names: [StaticString] = RedisKeys.scriptKeys, capacity: Int = 256) {
        self.init(script, keyCount: names.count, capacity: 512 + capacity)
        for name in names { append(keys.prefix, name) }
    }
}
