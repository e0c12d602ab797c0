import Foundation
import JSONText
import NIOCore
import SessionStore

/// What a token must say, and what its claims mean.
struct TokenRules: Sendable {
    var issuer: String
    var audience: String
    /// The claim with the tenant; nil for the standard tenant.
    var tenantClaim: String?
    var subjectClaim = "sub"
    var scopeClaim = "scope"
    /// How far the clocks of the issuer and of this replica may differ.
    var leeway = Duration.seconds(30)

    /// In whose name a token speaks.
    struct Claims: Sendable, Equatable {
        var tenant: TenantID
        var subject: Subject
        var scopes: Scopes
        var expiresAt: Date
    }

    /// Checks the claims of a token (RFC 7519, section 4.1). They are worth nothing before the
    /// signature is verified.
    ///
    /// - Throws: ``AuthFailure`` that names the claim at fault, and no value.
    func claims(of token: Token, at now: Date) throws(AuthFailure) -> Claims {
        let claims = token.claims
        // Compared as they are: no URL is made equal to another.
        guard claims["iss"]?.string == issuer else { throw .token("iss is another") }
        guard let audience = claims["aud"], Self.texts(audience).contains(self.audience) else { throw .token("aud is another") }
        let leeway = TimeInterval(self.leeway.components.seconds)
        guard let expiry = claims["exp"].flatMap(Self.date) else { throw .token("exp is missing") }
        guard now < expiry.addingTimeInterval(leeway) else { throw AuthFailure(.expired, credential: "jwt") }
        if let start = claims["nbf"] {
            guard let start = Self.date(start) else { throw .token("nbf is not a time") }
            guard start <= now.addingTimeInterval(leeway) else { throw AuthFailure(.early, credential: "jwt") }
        }
        guard let subject = Self.claim(subjectClaim, in: claims)?.string.flatMap({ Subject($0) }) else {
            throw .token("\(subjectClaim) is missing, or not \(Subject.rule)")
        }
        var tenant = TenantID.standard
        if let tenantClaim {
            guard let named = Self.claim(tenantClaim, in: claims)?.string.flatMap({ TenantID(named: $0) }) else {
                throw .token("\(tenantClaim) is missing, or not a tenant")
            }
            tenant = named
        }
        return Claims(tenant: tenant, subject: subject, scopes: scopes(claims), expiresAt: expiry)
    }

    /// Returns the scopes of this server that the token has. It may have others.
    private func scopes(_ claims: JSONSlice) -> Scopes {
        guard let value = Self.claim(scopeClaim, in: claims) else { return [] }
        let names = Self.texts(value).flatMap { $0.split(separator: " ") }
        return names.reduce(into: []) { scopes, name in
            if let scope = Scopes(name: name) { scopes.formUnion(scope) }
        }
    }

    /// Returns a claim by its name, or by the names of the objects around it with dots between:
    /// `realm.tenant`.
    static func claim(_ name: String, in claims: JSONSlice) -> JSONSlice? {
        // Names with dots exist as well: `https://example.com/tenant`.
        if let claim = claims[name] { return claim }
        var value = claims
        for part in name.split(separator: ".") {
            guard let member = value[String(part)] else { return nil }
            value = member
        }
        return value
    }

    /// The texts of a string, or of an array of strings.
    private static func texts(_ value: JSONSlice) -> [String] {
        value.kind == .array ? value.elements.compactMap(\.string) : [value.string].compactMap(\.self)
    }

    /// Reads a NumericDate: seconds since 1970, maybe with a fraction.
    private static func date(_ value: JSONSlice) -> Date? {
        guard value.kind == .number, let seconds = Double(String(buffer: value.raw)), abs(seconds) < 1e12 else { return nil }
        return Date(timeIntervalSince1970: seconds)
    }
}
