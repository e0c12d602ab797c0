public import NIOSSL

/// The PEM files of a TLS client: the certificates that it trusts, and its own.
public struct TLSFiles: Sendable, Hashable {
    /// The file of trusted certificates; nil for the system's.
    public var caFile: String?
    /// The client's own certificate, followed by its chain; nil if the server wants none.
    public var certificateFile: String?
    /// The private key of ``certificateFile``.
    public var keyFile: String?

    /// Trusts the system's certificates, and has none of its own.
    public init() {}

    /// Reads the files, and discards what was read.
    ///
    /// - Throws: ``TLSFileError`` for the first file that cannot be used.
    public func check() throws(TLSFileError) {
        _ = try context()
    }

    package func context() throws(TLSFileError) -> NIOSSLContext {
        let configuration = try clientConfiguration()
        do { return try NIOSSLContext(configuration: configuration) } catch {
            throw TLSFileError("the certificate \(certificateFile ?? "") and the key \(keyFile ?? "") do not belong together")
        }
    }

    /// Reads the files into a configuration that verifies the server's certificate and name, and
    /// accepts TLS 1.2 and later only (RFC 8996).
    ///
    /// - Throws: ``TLSFileError`` for the first file that cannot be used.
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
    /// The error in words, with the file's name and nothing of its content.
    public var description: String
    /// Whether the file is ``TLSFiles/caFile``.
    public var isAuthority: Bool

    init(_ description: String, isAuthority: Bool = false) {
        self.description = description
        self.isAuthority = isAuthority
    }
}
