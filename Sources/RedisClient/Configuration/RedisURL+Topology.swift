/// The URLs of topologies whose servers the pool finds on its own.
extension RedisConfiguration {
    /// The number of addresses that a URL may have. More are a mistake: the pool may wait for each
    /// in turn.
    private static let mostAddresses = 64

    /// Reads `[user:pass@]host:port,host:port/NAME[/db][?…]`.
    init(sentinels rest: Substring, usesTLS: Bool) throws(RedisURLError) {
        let (text, query) = Self.split(rest, at: "?")
        let (credentials, authority) = try Self.credentials(text)
        let (hosts, path) = Self.split(authority, at: "/")
        guard let path, !path.isEmpty else { throw RedisURLError("after the sentinels the master's name must stand: …:26379/NAME") }
        let (name, database) = Self.split(path, at: "/")
        guard !name.isEmpty else { throw RedisURLError("the master's name is missing") }
        let (first, sentinels) = try Self.addresses(hosts, defaultPort: 26379)
        var group = SentinelGroup(masterName: try Self.decoded(name, "the master's name"), sentinels: sentinels)
        for parameter in query?.split(separator: "&", omittingEmptySubsequences: false) ?? [] {
            let (name, value) = Self.split(parameter, at: "=")
            switch (name, value) {
            case ("sentinel_username", let value?): group.username = try Self.decoded(value, "sentinel_username")
            case ("sentinel_password", let value?): group.password = try Self.decoded(value, "sentinel_password")
            default: throw RedisURLError("after ? only sentinel_username=… and sentinel_password=… may stand, joined by &")
            }
        }
        guard group.username == nil || group.password != nil else { throw RedisURLError("sentinel_username needs a sentinel_password") }
        self.init(first)
        topology = .sentinel(group)
        (username, password) = credentials
        if let database, !database.isEmpty { self.database = try Self.number(database, "the database", 0...9999) }
        self.usesTLS = usesTLS
    }

    /// Reads `[user:pass@]host:port,host:port`. A Cluster has only database 0.
    init(nodes rest: Substring, usesTLS: Bool) throws(RedisURLError) {
        let (credentials, authority) = try Self.credentials(rest)
        let (hosts, path) = Self.split(authority, at: "/")
        guard path?.isEmpty != false else { throw RedisURLError("a Cluster has no databases: nothing may stand after the nodes") }
        let (first, seeds) = try Self.addresses(hosts, defaultPort: 6379)
        self.init(first)
        topology = .cluster(seeds: seeds)
        (username, password) = credentials
        self.usesTLS = usesTLS
    }

    /// Returns the addresses without duplicates, at least one.
    private static func addresses(_ hosts: Substring, defaultPort: Int) throws(RedisURLError) -> (first: Address, all: [Address]) {
        var addresses: [Address] = []
        for host in hosts.split(separator: ",", omittingEmptySubsequences: false) {
            let address = try hostAndPort(host, defaultPort: defaultPort)
            if !addresses.contains(address) { addresses.append(address) }
        }
        guard let first = addresses.first else { throw RedisURLError("the host is missing") }
        guard addresses.count <= mostAddresses else { throw RedisURLError("there are more than \(mostAddresses) addresses") }
        return (first, addresses)
    }

    private static func split(_ text: Substring, at separator: Character) -> (Substring, Substring?) {
        guard let position = text.firstIndex(of: separator) else { return (text, nil) }
        return (text[..<position], text[text.index(after: position)...])
    }
}
