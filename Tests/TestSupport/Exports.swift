// Tests and drills start the same servers and use the same clients.
@_exported public import LocalDeployment
