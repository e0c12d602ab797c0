import Foundation

/// The smallest rights under which everything works, as docs/operations.md gives them. Every Redis of a test has a user with them, under
/// which all stores and replicas run; tests themselves look and interfere as the default user.
public enum AccessRules {
    public static let user = "agent"
    public static let password = "SECRET"
    /// Within a URL.
    public static let credentials = "\(user):\(password)@"

    /// Arguments of `ACL SETUSER` behind the name: for a server, for a Cluster's node, for a sentinel.
    public static let server = rule(0)
    public static let clusterNode = rule(1)
    public static let sentinel = rule(2)

    private static func rule(_ index: Int) -> [String] {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "../../docs/operations.md")
        let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
        let rules = text.split(separator: "\n").filter { $0.hasPrefix("user \(user) on >\(password) ") }
        guard rules.indices.contains(index) else { return [] }
        return rules[index].split(separator: " ").dropFirst(2).map(String.init)
    }
}
