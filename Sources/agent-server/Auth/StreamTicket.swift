import Foundation
import JSONText
import NIOCore
import SessionStore

/// What a ticket says: who may follow which session's stream, and until when.
///
/// A browser's `EventSource` sends no header that the page chooses. It connects again with the same
/// URL, and gives up for good after a 401. So a ticket is not for one use: it opens a stream for a
/// minute, and later only for a client that had events of the stream before.
struct StreamTicket: Sendable, Equatable {
    /// How long a ticket opens a stream.
    static let opening: TimeInterval = 60
    /// How long it opens the stream for a client that comes back with `Last-Event-ID`.
    static let lifetime: TimeInterval = 600

    var session: SessionID
    var requester: Requester
    /// Whole seconds since 1970.
    var opensUntil: Int
    var expires: Int
    /// When the credential ends that asked for the ticket; nil for never. The stream ends then too.
    var credentialExpires: Int?
    /// Makes each ticket another one.
    var nonce: String

    /// Returns a ticket for a stream; nil if the principal's credential has less than a second left.
    init?(for session: SessionID, principal: Principal, now: Date = .now, nonce: UInt64 = .random(in: .min ... .max)) {
        let end = principal.expiresAt?.timeIntervalSince1970 ?? .infinity
        let opensUntil = min(now.timeIntervalSince1970 + Self.opening, end)
        guard opensUntil >= now.timeIntervalSince1970 + 1 else { return nil }
        self.session = session
        requester = principal.requester
        self.opensUntil = Int(opensUntil)
        expires = Int(min(now.timeIntervalSince1970 + Self.lifetime, end))
        credentialExpires = end.isFinite ? Int(end) : nil
        self.nonce = String(nonce, radix: 36)
    }

    /// Returns whether the ticket opens a stream now.
    ///
    /// - Parameter isReturning: Whether the client has named the last event that it has.
    func isValid(_ now: Date, isReturning: Bool) -> Bool {
        Int(now.timeIntervalSince1970) < (isReturning ? expires : opensUntil)
    }

    /// Returns whom a request with this ticket acts for. It may read, and a stream is all that the
    /// ticket is good for.
    ///
    /// - Parameter credential: How logs name the ticket: by where it was.
    func principal(credential: String) -> Principal {
        Principal(
            tenant: session.tenant, requester: requester, scopes: .read, accounts: [], credential: credential,
            expiresAt: credentialExpires.map { Date(timeIntervalSince1970: TimeInterval($0)) })
    }
}

extension StreamTicket {
    /// The ticket as JSON: `t` tenant, `s` subject, `i` session, `o` opens until, `e` expires, `c`
    /// the credential's end, `n` nonce.
    var payload: ByteBuffer {
        var json = ByteBuffer(string: #"{"t":"#)
        json.writeJSONString(session.tenant.text)
        if case .subject(let subject) = requester {
            json.writeString(#","s":"#)
            json.writeJSONString(subject.text)
        }
        json.writeString(#","i":"#)
        json.writeJSONString(session.text)
        json.writeString(",\"o\":\(opensUntil),\"e\":\(expires)")
        if let credentialExpires { json.writeString(",\"c\":\(credentialExpires)") }
        json.writeString(#","n":"#)
        json.writeJSONString(nonce)
        json.writeString("}")
        return json
    }

    /// Reads ``payload``; nil for anything else.
    init?(payload: ByteBuffer) {
        guard let value = try? JSONSlice(parsing: payload), value.kind == .object,
            let tenant = value["t"]?.string.flatMap({ $0.isEmpty ? .standard : TenantID($0) }),
            let session = value["i"]?.string.flatMap({ SessionID($0, tenant: tenant) }),
            let opensUntil = value["o"]?.integer, let expires = value["e"]?.integer, let nonce = value["n"]?.string
        else { return nil }
        self.session = session
        self.opensUntil = opensUntil
        self.expires = expires
        self.nonce = nonce
        credentialExpires = value["c"]?.integer
        switch value["s"] {
        case nil: requester = .tenant
        case let name?:
            guard let subject = name.string.flatMap({ Subject($0) }) else { return nil }
            requester = .subject(subject)
        }
    }
}
