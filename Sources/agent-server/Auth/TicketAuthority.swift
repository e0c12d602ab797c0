import Crypto
import Foundation
import NIOCore
import SessionStore

/// Signs tickets and checks them: `BASE64URL(PAYLOAD).BASE64URL(HMAC-SHA256)`. It needs no Redis:
/// each replica with the same keys checks the tickets of all others.
struct TicketAuthority: Sendable {
    /// A longer text is not a ticket.
    private static let maximumLength = 2048
    /// What the signature covers beside the payload, so that the same key may sign other things.
    private static let domain = "agent-runtime stream ticket 1."

    /// The first one signs.
    private let keys: [SymmetricKey]

    /// Returns nil without keys: the server issues no tickets then.
    init?(keys: [String]) {
        guard !keys.isEmpty else { return nil }
        self.keys = keys.map { SymmetricKey(data: Array($0.utf8)) }
    }

    func sign(_ ticket: StreamTicket) -> String {
        let payload = Base64URL.text(of: ticket.payload.readableBytesView)
        return payload + "." + Base64URL.text(of: HMAC<SHA256>.authenticationCode(for: Self.signed(payload), using: keys[0]))
    }

    /// Returns a ticket that one of the keys has signed; nil for anything else. Compares signatures
    /// in constant time.
    func ticket(_ text: String) -> StreamTicket? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard text.utf8.count <= Self.maximumLength, parts.count == 2, let code = Base64URL.bytes(of: parts[1].utf8) else { return nil }
        let signed = Self.signed(String(parts[0]))
        guard keys.contains(where: { HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: signed, using: $0) }) else { return nil }
        return Base64URL.bytes(of: parts[0].utf8).flatMap { StreamTicket(payload: ByteBuffer(bytes: $0)) }
    }

    private static func signed(_ payload: String) -> [UInt8] { Array((domain + payload).utf8) }
}
