# Users of one SharePoint Online site, and the sites that people own, with the module PnP.PowerShell.
#
# Settings: site (its URL), tenant, appId, certificatePath (a PFX on the host). Secrets: certificatePassword.
# Native id: the user's id in the site. Login: the claim without its prefix. Entitlements: the site's groups, by title.

$script:TenureFunctions = @(
    'Open-TenureConnection', 'Test-TenureConnection', 'Get-TenureSchema',
    'Get-TenureAccount', 'Find-TenureAccount', 'Get-TenureAccountPage', 'Remove-TenureAccount',
    'Get-TenureMemberPage', 'Add-TenureMember', 'Remove-TenureMember',
    'Get-TenureOwnedCount', 'Move-TenureOwned'
)
$script:TenureErrors = @{
    MsalServiceException                 = 'UNAUTHENTICATED'
    MsalClientException                  = 'UNAUTHENTICATED'
    ServerUnauthorizedAccessException    = 'FORBIDDEN'
    UnauthorizedAccessException          = 'FORBIDDEN'
    MaximumRetryAttemptedException       = 'RATE_LIMITED'
    TaskCanceledException                = 'TIMEOUT'
    HttpRequestException                 = 'UNAVAILABLE'
}
$script:TenureProperties = @('Title', 'Email', 'LoginName', 'IsSiteAdmin')
$script:TenureMembershipPrefix = 'i:0#.f|membership|'

function Open-TenureConnection {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    Import-Module -Name PnP.PowerShell
    $road = @{
        Url                 = Get-TenureSetting -Name 'site' -Needed
        Tenant              = Get-TenureSetting -Name 'tenant' -Needed
        ClientId            = Get-TenureSetting -Name 'appId' -Needed
        CertificatePath     = Get-TenureSetting -Name 'certificatePath' -Needed
        CertificatePassword = ConvertTo-TenureSecret -Text $Secrets['certificatePassword']
    }
    $null = Connect-PnPOnline @road
    return $null
}

function Test-TenureConnection {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $null = Get-PnPWeb
    return $null
}

function Get-TenureSchema {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    return @{ properties = $script:TenureProperties }
}

# People only: groups of the directory and SharePoint's own principals are no accounts.
function Get-TenureUsers {
    return @(Get-PnPUser | Where-Object { ([string]$_.LoginName).StartsWith($script:TenureMembershipPrefix) })
}

function Get-TenureUser {
    param([string]$NativeId)
    return Get-TenureUsers | Where-Object { [string]$_.Id -ceq $NativeId } | Select-Object -First 1
}

function Get-TenureNeeded {
    param([string]$NativeId)
    $user = Get-TenureUser -NativeId $NativeId
    if ($null -eq $user) { throw (New-TenureFault -Code 'NOT_FOUND' -TargetCode 'NoSuchUser') }
    return $user
}

function Get-TenureLogin {
    param([object]$User)
    return ([string]$User.LoginName).Substring($script:TenureMembershipPrefix.Length)
}

# Whether somebody may sign in is the directory's to say.
function ConvertTo-TenureAccount {
    param([object]$User, [object[]]$Properties)
    $shown = @{}
    foreach ($name in $Properties) {
        if ($script:TenureProperties -cnotcontains $name) { continue }
        $value = ConvertTo-TenureValue -Value $User.$name
        if ($null -ne $value) { $shown[$name] = $value }
    }
    return @{
        nativeId     = [string]$User.Id
        login        = Get-TenureLogin -User $User
        status       = 'unknown'
        properties   = $shown
        entitlements = $null
    }
}

function Get-TenureAccount {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $user = Get-TenureUser -NativeId $Arguments['nativeId']
    if ($null -eq $user) { return $null }
    $account = ConvertTo-TenureAccount -User $user -Properties @($Arguments['properties'])
    $account['entitlements'] = @(Get-PnPGroup | Where-Object { Test-TenureMember -Group $_ -User $user } | ForEach-Object { [string]$_.Title })
    return $account
}

function Find-TenureAccount {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $name = $Arguments['property']
    if (($null -ne $name) -and ($script:TenureProperties -cnotcontains $name)) {
        throw (New-TenureFault -Code 'INVALID' -TargetCode 'PropertyName' -Attribute $name)
    }
    $wanted = [string]$Arguments['value']
    $found = @(Get-TenureUsers | Where-Object {
            if ($null -eq $name) { (Get-TenureLogin -User $_) -eq $wanted }
            else { [string]$_.$name -eq $wanted }
        })
    $accounts = @($found | ForEach-Object { ConvertTo-TenureAccount -User $_ -Properties @($Arguments['properties']) })
    return @{ accounts = $accounts }
}

function Get-TenureAccountPage {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $byId = @{}
    foreach ($user in Get-TenureUsers) { $byId[[string]$user.Id] = $user }
    $page = Select-TenurePage -Sorted @(Get-TenureSorted -Ids @($byId.Keys)) -After $Arguments['after'] -Size $Arguments['size']
    $properties = @($Arguments['properties'])
    $accounts = @($page['ids'] | ForEach-Object { ConvertTo-TenureAccount -User $byId[$_] -Properties $properties })
    return @{ accounts = $accounts; more = $page['more'] }
}

function Remove-TenureAccount {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $user = Get-TenureUser -NativeId $Arguments['nativeId']
    if ($null -ne $user) { Remove-PnPUser -Identity $user.Id -Force }
    return $null
}

function Get-TenureGroup {
    param([string]$Name)
    $found = @(Get-PnPGroup | Where-Object { [string]$_.Title -ceq $Name })
    if ($found.Count -ne 1) { throw (New-TenureFault -Code 'INVALID' -TargetCode 'NoSuchGroup' -Attribute 'entitlement') }
    return $found[0]
}

function Test-TenureMember {
    param([object]$Group, [object]$User)
    return (@(Get-PnPGroupMember -Group $Group.Id | Where-Object { $_.Id -eq $User.Id }).Count -gt 0)
}

function Get-TenureMemberPage {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $group = Get-TenureGroup -Name $Arguments['entitlement']
    $people = @(Get-PnPGroupMember -Group $group.Id | Where-Object { ([string]$_.LoginName).StartsWith($script:TenureMembershipPrefix) })
    $ids = @(Get-TenureSorted -Ids @($people | ForEach-Object { [string]$_.Id }))
    $page = Select-TenurePage -Sorted $ids -After $Arguments['after'] -Size $Arguments['size']
    return @{ members = $page['ids']; more = $page['more'] }
}

function Add-TenureMember {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $group = Get-TenureGroup -Name $Arguments['entitlement']
    $user = Get-TenureNeeded -NativeId $Arguments['nativeId']
    # A member that is there already is no error of this cmdlet.
    Add-PnPGroupMember -Group $group.Id -LoginName $user.LoginName
    return $null
}

function Remove-TenureMember {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $group = Get-TenureGroup -Name $Arguments['entitlement']
    $user = Get-TenureNeeded -NativeId $Arguments['nativeId']
    if (Test-TenureMember -Group $group -User $user) {
        Remove-PnPGroupMember -Group $group.Id -LoginName $user.LoginName
    }
    return $null
}

# All sites of the tenant whose owner is this person.
function Get-TenureOwnedSites {
    param([object]$User)
    $login = Get-TenureLogin -User $User
    return @(Get-PnPTenantSite | Where-Object { [string]$_.Owner -eq $login })
}

function Get-TenureOwnedCount {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $user = Get-TenureNeeded -NativeId $Arguments['nativeId']
    return @{ count = @(Get-TenureOwnedSites -User $user).Count }
}

# Site by site; what breaks off in between is finished by repeating it.
function Move-TenureOwned {
    param([hashtable]$Arguments, [hashtable]$Secrets)
    $user = Get-TenureNeeded -NativeId $Arguments['nativeId']
    $heir = Get-TenureUser -NativeId $Arguments['heir']
    if ($null -eq $heir) { throw (New-TenureFault -Code 'NOT_FOUND' -TargetCode 'NoSuchUser' -Attribute 'heir') }
    $owner = Get-TenureLogin -User $heir
    foreach ($site in Get-TenureOwnedSites -User $user) {
        Set-PnPTenantSite -Identity $site.Url -PrimarySiteCollectionAdmin $owner
    }
    return $null
}
