import NIOCore
import NIOSSL

/// TLS for `rediss://`: the certificate and the host's name are always checked.
enum RedisTLS {
    static func handler(_ configuration: RedisConfiguration) throws -> NIOSSLClientHandler {
        var tls = TLSConfiguration.makeClientConfiguration()
        if let caFile = configuration.caFile { tls.trustRoots = .file(caFile) }
        var host: String?
        if case .tcp(let name, _) = configuration.address, (try? SocketAddress(ipAddress: name, port: 0)) == nil { host = name }
        return try NIOSSLClientHandler(context: NIOSSLContext(configuration: tls), serverHostname: host)
    }
}
