import Locks
import NIOCore
import NIOSSL
import TransportSecurity

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// TLS for `rediss://`, which verifies the server's certificate and host name.
///
/// All connections of a pool share one context: reading the authorities takes milliseconds, and
/// after a failover every event loop connects at the same time.
final class RedisTLS: Sendable {
    private struct Made {
        var files: TLSFiles
        /// When each file was last changed. Renewed certificates take effect with the next
        /// connection.
        var times: [Int]
        var context: NIOSSLContext
    }

    private let made = Guarded<Made?>(nil)

    func handler(_ configuration: RedisConfiguration) throws -> NIOSSLClientHandler {
        var host: String?
        if case .tcp(let name, _) = configuration.address, (try? SocketAddress(ipAddress: name, port: 0)) == nil { host = name }
        return try NIOSSLClientHandler(context: context(configuration.tls), serverHostname: host)
    }

    func context(_ files: TLSFiles) throws(TLSFileError) -> NIOSSLContext {
        let times = [files.caFile, files.certificateFile, files.keyFile].map { $0.map(Self.changeTime) ?? 0 }
        let kept = made.withLock { $0 }
        if let kept, kept.files == files, kept.times == times { return kept.context }
        do throws(TLSFileError) {
            let context = try files.context()
            made.withLock { $0 = Made(files: files, times: times, context: context) }
            return context
        } catch {
            // A file that is being replaced may be incomplete.
            guard let kept, kept.files == files else { throw error }
            return kept.context
        }
    }

    /// Returns nanoseconds since 1970, or 0 if there is no such file.
    private static func changeTime(_ path: String) -> Int {
        var info = stat()
        guard stat(path, &info) == 0 else { return 0 }
        #if canImport(Darwin)
        return info.st_mtimespec.tv_sec * 1_000_000_000 + info.st_mtimespec.tv_nsec
        #else
        return info.st_mtim.tv_sec * 1_000_000_000 + info.st_mtim.tv_nsec
        #endif
    }
}
