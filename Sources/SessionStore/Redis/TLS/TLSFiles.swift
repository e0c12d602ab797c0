public import NIOSSL

/// What a client of TLS trusts and shows: paths of PEM files.
public struct TLSFiles: Sendable, Hashable {
    /// Certificates to trust; nil for the system's.
    public var caFile: String?
    /// The client's own certificate, followed by its chain, where the server wants one.
    public var certificateFile: String?
    /// That certificate's key.
    public var keyFile: String?

    public init() {}

    /// Whether a connection could be made with the files.
    public func check() throws(TLSFileError) {
        _ = try context()
    }

    func context() throws(TLSFileError) -> NIOSSLContext {
        let configuration = try clientConfiguration()
        do { return try NIOSSLContext(configuration: configuration) } catch {
            throw TLSFileError("the certificate \(certificateFile ?? "") and the key \(keyFile ?? "") do not belong together")
        }
    }

    /// Certificate and name of the server are always checked; nothing older than TLS 1.2 is spoken
    /// (RFC 8996).
    public func clientConfiguration() throws(TLSFileError) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        if let caFile {
            configuration.trustRoots = .certificates(try Self.certificates(in: caFile, isAuthority: true))
        }
        if let certificateFile, let keyFile {
            configuration.certificateChain = try Self.certificates(in: certificateFile).map { .certificate($0) }
            do { configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: keyFile, format: .pem)) } catch {
                throw TLSFileError("the file \(keyFile) holds no private key without a passphrase, in PEM")
            }
        }
        return configuration
    }

    private static func certificates(in file: String, isAuthority: Bool = false) throws(TLSFileError) -> [NIOSSLCertificate] {
        do {
            let certificates = try NIOSSLCertificate.fromPEMFile(file)
            if !certificates.isEmpty { return certificates }
        } catch {}
        throw TLSFileError("the file \(file) holds no certificate in PEM", isAuthority: isAuthority)
    }
}

/// A file of ``TLSFiles`` that cannot be used.
public struct TLSFileError: Error, Sendable, CustomStringConvertible {
    /// Names the file, and nothing of its content.
    public var description: String
    /// It is the file of the certificates to trust.
    public var isAuthority: Bool

    init(_ description: String, isAuthority: Bool = false) {
        self.description = description
        self.isAuthority = isAuthority
    }
}
