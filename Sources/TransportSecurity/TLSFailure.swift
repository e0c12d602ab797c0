import NIOSSL

/// Names for the causes of TLS errors, in words for operators.
package enum TLSFailure {
    /// Returns the cause of `error` in words, or nil if it is not an error of TLS.
    package static func describe(_ error: any Error) -> String? {
        switch error {
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            "the server's certificate is for another name"
        case NIOSSLError.handshakeFailed(let cause): words(cause)
        case NIOSSLError.unableToValidateCertificate, NIOSSLError.noCertificateToValidate, NIOSSLError.cannotMatchULabel:
            "the server's certificate cannot be checked"
        case let error as BoringSSLError: words(error)
        case let error as NIOSSLError where error != .uncleanShutdown: "TLS failed: \(error)"
        default: nil
        }
    }

    /// BoringSSL writes its reasons in capitals into its errors.
    private static func words(_ error: BoringSSLError) -> String {
        let text = "\(error)"
        for (reason, words) in reasons where text.contains(reason) { return words }
        return "TLS failed: \(text)"
    }

    private static let reasons = [
        ("CERTIFICATE_VERIFY_FAILED", "the server's certificate is not trusted: its authority is unknown, or it is not valid at this time"),
        ("ALERT_CERTIFICATE_REQUIRED", "the server wants a client certificate"),
        ("ALERT_UNKNOWN_CA", "the server does not trust the client certificate"),
        ("ALERT_BAD_CERTIFICATE", "the server does not take the client certificate"),
        ("ALERT_HANDSHAKE_FAILURE", "the server refused TLS: perhaps it wants a client certificate, or speaks no TLS 1.2"),
        ("UNSUPPORTED_PROTOCOL", "the server speaks no TLS 1.2 or later"),
        ("ALERT_PROTOCOL_VERSION", "the server speaks no TLS 1.2 or later"),
        ("WRONG_VERSION_NUMBER", "the server does not speak TLS at this port"),
    ]
}
