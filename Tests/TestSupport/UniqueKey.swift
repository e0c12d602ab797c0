import Foundation

/// Returns a key of Redis that no other test uses.
public func uniqueKey(_ prefix: String = "k") -> String {
    "\(prefix)-\(UUID().uuidString.lowercased().prefix(13))"
}
