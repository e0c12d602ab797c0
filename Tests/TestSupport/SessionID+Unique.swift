import Foundation
public import SessionStore

extension SessionID {
    /// Returns a session id that no other test uses.
    public static func unique(_ prefix: String = "s") -> SessionID {
        guard let id = SessionID("\(prefix)-\(UUID().uuidString.lowercased().prefix(13))") else {
            fatalError("a test's session prefix must be of the alphabet of session ids: \(prefix)")
        }
        return id
    }
}
