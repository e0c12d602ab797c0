import LocalDeployment
import SessionStore

/// A tenant of the drill: a key, and the account that all its clients share.
///
/// Clients of several tenants use the same session ids, so that only the key says whose session is
/// meant. Each message has its tenant's mark.
struct DrillTenant: Sendable {
    /// Empty for the only tenant of a deployment without a keys file.
    let name: String
    let headers: [String: String]
    let id: TenantID
    let account: Account

    /// What each message of the tenant contains; empty for the only tenant.
    var mark: String { name.isEmpty ? "" : "<\(name)>" }

    /// The tenant of a deployment without a keys file.
    ///
    /// - Parameter headers: The headers of its clients.
    static func only(headers: [String: String] = [:]) -> DrillTenant {
        DrillTenant(name: "", headers: headers, id: .standard, account: Account(key: "none", tenant: .standard))
    }

    /// The keys of the tenants, and their SHA-256. They open deployments on loopback that do not
    /// outlive the drill.
    private static let keys = [
        (
            name: "red", key: "ark_red_loopback-drill-0000000000",
            sha256: "38283f4d8a6f54b45e3fb44a52470de41a8850c470345c332dd9e2d630641d48"
        ),
        (
            name: "blue", key: "ark_blue_loopback-drill-0000000000",
            sha256: "7485448fcf63538d02dcb1a568117b7991db3d61fbd1fd7f2d7dacedeafe19f2"
        ),
    ]

    static let most = keys.count

    /// Makes the tenants of a drill.
    ///
    /// - Parameter count: 1 to ``most``. One tenant needs no keys file.
    static func make(_ count: Int) -> [DrillTenant] {
        guard count > 1 else { return [.only()] }
        return keys.prefix(count).compactMap { key in
            TenantID(key.name).map { id in
                DrillTenant(
                    name: key.name, headers: ["Authorization": "Bearer \(key.key)"], id: id, account: Account(key: key.name, tenant: id))
            }
        }
    }

    /// Returns the keys file of a deployment with ``make(_:)``'s tenants.
    ///
    /// - Parameter streams: The limit of streams of each tenant; nil for none.
    static func keysFile(_ count: Int, streams: Int?) -> JSON {
        let entries = keys.prefix(count).map { key in
            var entry: [String: JSON] = [
                "id": .string(key.name), "sha256": .string(key.sha256), "tenant": .string(key.name), "subject": "*",
                "scopes": ["sessions:*"],
            ]
            if let streams { entry["limits"] = ["streams": .number(Double(streams))] }
            return JSON.object(entry)
        }
        return ["keys": .array(Array(entries))]
    }
}
